"""`GET /v1/models` and `GET /v1/models/{id}`: the configuration's names, never the upstream's."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from feathergate.gateway.reply import JSON
from feathergate.runtime import list_models
from feathergate.server.contract import Answering
from feathergate.wire.codec import encode

_CREATED = 1_735_689_600  # 2025-01-01: the protocol wants a time, and a configured name has none


def get_models(answering: Answering, rest: str) -> None:
    models = [render_model(name) for name in list_models(answering.runtime)]
    body = encode({"object": "list", "data": models})
    answering.responder.respond(200, JSON + answering.headers, body)


def get_model(answering: Answering, rest: str) -> None:
    """One model; `rest` is its name as it stood in the path, where it may hold slashes. A name that a pattern
    serves is a model too. Raises `NotFoundError`."""
    name = unquote(rest)
    answering.runtime.find_model(name)
    answering.responder.respond(200, JSON + answering.headers, encode(render_model(name)))


def render_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "feathergate"}
