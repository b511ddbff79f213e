"""How a deployment's answer is to be read: what a relay must know of the request, and nothing of the network."""

from __future__ import annotations

from typing import Final

from feathergate.dialects.contract import Context, Dialect
from feathergate.dialects.thought import ThoughtMemory
from feathergate.dialects.translation import Whole, translate_whole


class Reading:
    """How an answer is to be read. Immutable."""

    __slots__ = ("body_limit_bytes", "context", "created", "dialect", "fallback_id", "secrets", "thoughts")

    def __init__(
        self,
        dialect: Dialect,
        context: Context,
        fallback_id: str,
        created: int,
        body_limit_bytes: int,
        secrets: tuple[str, ...] = (),
        thoughts: ThoughtMemory | None = None,
    ) -> None:
        self.dialect: Final = dialect
        self.context: Final = context
        self.fallback_id: Final = fallback_id
        self.created: Final = created
        self.body_limit_bytes: Final = body_limit_bytes
        self.secrets: Final = secrets
        self.thoughts: Final = thoughts

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
