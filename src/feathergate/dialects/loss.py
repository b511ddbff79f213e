"""What a translation could not carry: said to the client, or, where the target is strict, refused."""

from __future__ import annotations

from feathergate.errors import ClientError


class Losses:
    """Collects the names of what is dropped, each once, in the order in which it was met.

    `api` is how an error calls what cannot carry them: "Anthropic's Messages API".
    """

    __slots__ = ("_api", "_names", "_strict")

    def __init__(self, api: str, *, strict: bool) -> None:
        self._api = api
        self._strict = strict
        self._names: dict[str, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names) if self._names else ()

    def drop(self, name: str, where: str | None = None) -> None:
        """`where` is the place in this request, where it is more than the name. Raises `ClientError` if strict."""
        param = where or name
        if self._strict:
            raise ClientError(
                f"'{param}' has no equivalent in {self._api}. Leave it out, or do not ask for a strict translation.",
                param=param,
                code="unsupported_parameter",
            )
        self._names[name] = None
