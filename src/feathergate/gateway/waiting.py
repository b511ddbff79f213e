"""What a request waits for before it is sent: a place, or the time to ask again. The client owns each wait.

When the client goes, the wait ends at once; so it does when the request's deadline passes.
"""

from __future__ import annotations

import asyncio
from functools import partial

from feathergate.gateway.failure import LeftError, build_late
from feathergate.http.contract import Responder
from feathergate.routing.gate import Gate


async def wait_for_place(gate: Gate, responder: Responder, deadline: float) -> None:
    """Until the request is inside; `deadline` is the loop's time. Raises `UnavailableError` where no place comes free
    in the gate's own time, `DeadlineError` where none does in the request's, `LeftError` where the client has gone."""
    if responder.closed:  # while its body was decoded in a thread
        raise LeftError
    place = gate.enter()
    if place is None:
        return
    responder.on_close = partial(gate.abandon, place)
    try:
        await asyncio.wait([place], timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
    except asyncio.CancelledError:
        if not responder.closed:
            gate.abandon(place)
        raise
    finally:
        responder.on_close = None
    if responder.closed:  # by which a place that was given has been abandoned too
        raise LeftError
    if not place.done():
        gate.abandon(place)
        raise build_late(unread=False)
    if not place.result():
        raise gate.build_error()


async def pause(responder: Responder, wait_s: float) -> None:
    """Seconds, or less: raises `LeftError` at once when the client goes."""
    loop = asyncio.get_running_loop()
    waking: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(wait_s, _wake, waking)
    responder.on_close = partial(_wake, waking)
    try:
        await waking
    finally:
        timer.cancel()
        responder.on_close = None
    if responder.closed:
        raise LeftError


def _wake(waking: asyncio.Future[None]) -> None:
    if not waking.done():
        waking.set_result(None)
