"""What of a request could not be carried: collected, or refused where the configuration says strict."""

from __future__ import annotations

from feathergate.errors import ClientError


class Losses:
    """The names of the fields that a request loses, each once, in the order of their loss."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._names: dict[str, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    def drop(self, name: str) -> None:
        """Raises `ClientError` where nothing may be lost."""
        if self._strict:
            raise ClientError(
                f"'{name}' has no equivalent for this model, and translation is strict. Leave it out.",
                param=name,
                code="unsupported_parameter",
            )
        self._names[name] = None
