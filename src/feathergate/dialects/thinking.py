"""The thinking blocks of one choice, as its events fill them: text in pieces, signatures, blocks nobody can read.

Shared by what the client sees of a whole answer (`render.py`) and by what is remembered of any (`thought.py`).
Pieces are joined once, at the end. Source: reference/wire/anthropic.md "Thinking round trip".
"""

from __future__ import annotations

from feathergate.events import Reasoning, RedactedReasoning, Signature


class _Block:
    __slots__ = ("data", "pieces", "signature")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.data: str | None = None

    def build(self) -> dict[str, str]:
        if self.data is not None:
            return {"type": "redacted_thinking", "data": self.data}
        block = {"type": "thinking", "thinking": "".join(self.pieces)}
        return block if self.signature is None else {**block, "signature": self.signature}


class ThinkingBlocks:
    """Add the events of one choice, then `build`."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}

    def add(self, event: Reasoning | Signature | RedactedReasoning) -> None:
        """Reasoning of no block counts for none."""
        if event.block is None:
            return
        block = self._blocks.setdefault(event.block, _Block())
        if isinstance(event, Reasoning):
            block.pieces.append(event.text)
        elif isinstance(event, Signature):
            block.signature = event.signature
        else:
            block.data = event.data

    def build(self) -> list[dict[str, str]]:
        """The blocks in their order, as Anthropic has them."""
        return [block.build() for _, block in sorted(self._blocks.items())]
