"""What a request names by URL, fetched and put in its place, for providers that do not fetch themselves.

Once a request, whatever the number of its attempts. The client owns the fetching: when it goes, that ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from feathergate.gateway.attempt import Asked, inline_media
from feathergate.http.contract import Responder
from feathergate.transport.media import MediaFetcher, find_remotes
from feathergate.wire.codec import decode_messages

OFF_LOOP_BYTES = 1024 * 1024

T = TypeVar("T")


async def fetch_media(media: MediaFetcher, responder: Responder, asked: Asked) -> Asked:
    """The request with everything in place; untouched where it names nothing, or where the client has left."""
    messages = await _compute(asked.size_bytes, decode_messages, asked.request.messages)
    remotes = find_remotes(messages)
    if not remotes or responder.closed:
        return asked
    fetching = asyncio.ensure_future(media.fetch(remotes))
    responder.on_close = partial(_cancel, fetching)
    try:
        await asyncio.wait([fetching])
    finally:
        responder.on_close = None
        fetching.cancel()
    if fetching.cancelled():
        return asked
    files = fetching.result()
    size_bytes = asked.size_bytes + sum([len(file.data) for file in files.values()])
    return await _compute(size_bytes, inline_media, asked, messages, files)


async def _compute(size_bytes: int, work: Callable[..., T], *args: Any) -> T:
    """Pure work on a body of `size_bytes`: here and now, or in a thread where it could hold up the others."""
    return work(*args) if size_bytes < OFF_LOOP_BYTES else await asyncio.to_thread(work, *args)


def _cancel(future: asyncio.Future[Any]) -> None:
    future.cancel()
