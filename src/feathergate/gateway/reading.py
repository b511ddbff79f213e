"""How a deployment's answer is to be read: what a relay must know of the request, and nothing of the network."""

from __future__ import annotations

import msgspec

from feathergate.dialects.contract import Context, Dialect
from feathergate.dialects.thought import ThoughtMemory
from feathergate.dialects.translation import Whole, translate_whole


class Reading(msgspec.Struct, frozen=True):
    """How an answer is to be read."""

    dialect: Dialect
    context: Context
    fallback_id: str
    created: int
    body_limit_bytes: int
    secrets: tuple[str, ...] = ()
    thoughts: ThoughtMemory | None = None

    def translate(self, body: bytes) -> Whole:
        return translate_whole(
            body,
            self.dialect,
            self.context,
            self.fallback_id,
            self.created,
            self.body_limit_bytes,
            self.thoughts,
        )
