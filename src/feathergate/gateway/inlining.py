"""What a request names by URL, fetched and put in its place, for providers that do not fetch themselves.

Once a request, whatever the number of its attempts. The client owns the fetching: when it goes, that ends, and so it
does when the request's deadline passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from feathergate.deployment import Deployment
from feathergate.dialects.chat import CHAT
from feathergate.errors import ClientError
from feathergate.gateway.attempt import OFF_LOOP_BYTES, Asked, inline_media
from feathergate.gateway.failure import build_late
from feathergate.http.contract import Responder
from feathergate.transport.media import MediaFetcher, find_remotes
from feathergate.wire.codec import decode_messages

T = TypeVar("T")


class Inliner:
    """One request's media, fetched, or found not to be there, for the first attempt that needs it."""

    __slots__ = ("_inlined", "_media", "_responder")

    def __init__(self, media: MediaFetcher, responder: Responder) -> None:
        self._media = media
        self._responder = responder
        self._inlined: Asked | ClientError | None = None

    def find(self, deployment: Deployment, asked: Asked) -> Asked | None:
        """The request as it is sent to this deployment; None where something has to be fetched first, or cannot be."""
        if deployment.provider.dialect is CHAT:
            return asked
        return self._inlined if isinstance(self._inlined, Asked) else None

    async def prepare(self, deployment: Deployment, asked: Asked) -> Asked:
        """The same, with what has to be fetched. Raises as `fetch_media`."""
        found = self.find(deployment, asked)
        if found is not None:
            return found
        if isinstance(self._inlined, ClientError):
            raise self._inlined
        try:
            self._inlined = inlined = await fetch_media(self._media, self._responder, asked)
        except ClientError as error:
            self._inlined = error
            raise
        return inlined


async def fetch_media(media: MediaFetcher, responder: Responder, asked: Asked) -> Asked:
    """The request with everything in place; untouched where it names nothing, or where the client has left. Raises
    `ClientError` for what cannot be fetched, `DeadlineError` where it takes too long."""
    messages = await _compute(asked.is_large, decode_messages, asked.request.messages)
    remotes = find_remotes(messages)
    if not remotes or responder.closed:
        return asked
    fetching = asyncio.ensure_future(media.fetch(remotes))
    responder.on_close = partial(_cancel, fetching)
    try:
        await asyncio.wait([fetching], timeout=max(0.0, asked.deadline - asyncio.get_running_loop().time()))
    finally:
        responder.on_close = None
        late = not fetching.done()
        fetching.cancel()
    if late:
        raise build_late(unread=False)
    if fetching.cancelled():
        return asked
    files = fetching.result()
    size_bytes = asked.size_bytes + sum([len(file.data) for file in files.values()])
    return await _compute(asked.is_large or size_bytes >= OFF_LOOP_BYTES, inline_media, asked, messages, files)


async def _compute(is_large: bool, work: Callable[..., T], *args: Any) -> T:
    """Pure work: here and now, or in a thread where it could hold up the others."""
    return await asyncio.to_thread(work, *args) if is_large else work(*args)


def _cancel(future: asyncio.Future[Any]) -> None:
    future.cancel()
