"""Variables: `.env` files, and the references to variables in a configuration's strings. Pure functions.

A string may hold `${NAME}` and `${NAME:-default}` anywhere (the default stands in for a variable that is unset or
empty); `$${` is a literal `${`; every other `$` is itself, so that a password with a `$` survives. A string that
begins with `os.environ/` is as a whole the variable named after it. What a variable holds is not looked at again.
Source: litellm-config.md 4.2 `os.environ/NAME`; ecosystem.md row 10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from feathergate.errors import ConfigError, Problem

from .secret import Secret, is_key

LITELLM_PREFIX = "os.environ/"

# Of the providers that are served without a file.
KEY_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
}

MASTER_KEY_VARIABLES = ("FEATHERGATE_MASTER_KEY", "LITELLM_MASTER_KEY")

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_REFERENCE = re.compile(rf"\$\$\{{|\$\{{(?P<name>{_NAME})(?::-(?P<default>(?:(?!\$\{{)[^}}])*))?\}}|(?P<bad>\$\{{)")
_DOTENV_LINE = re.compile(
    rf"""^[ \t]*(?:export[ \t]+)?(?P<name>{_NAME})[ \t]*=[ \t]*
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<plain>[^'"\n][^\n]*)? )
    [ \t]*(?:\#[^\n]*)?$""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class KnownProvider(Protocol):
    """What a configuration must know of a provider: the usual address and variables, and what it cannot do without.

    An empty address, or an empty name of a variable, means that there is none.
    """

    @property
    def key_variables(self) -> tuple[str, ...]: ...
    @property
    def key_optional(self) -> bool: ...
    @property
    def api_base(self) -> str: ...
    @property
    def base_variable(self) -> str: ...
    @property
    def needs_base(self) -> bool: ...
    @property
    def version_variable(self) -> str: ...


class Expanded(NamedTuple):
    """A string with its variables filled in, and what went wrong on the way."""

    text: str
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    malformed: bool = False


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """`text` with its variables filled in from `environ`; a missing one leaves nothing behind."""
    if text.startswith(LITELLM_PREFIX):
        return _expand_whole(text.removeprefix(LITELLM_PREFIX).strip(), environ)
    if "${" not in text:
        return Expanded(text)
    matches = list(_REFERENCE.finditer(text))
    names = tuple(match["name"] for match in matches if match["name"])
    required = (match["name"] for match in matches if match["name"] and match["default"] is None)
    missing = tuple(dict.fromkeys(name for name in required if name not in environ))
    filled = _REFERENCE.sub(lambda match: _fill(match, environ), text)
    malformed = any(match["bad"] for match in matches)
    return Expanded(filled, names, () if malformed else missing, malformed)


def _expand_whole(name: str, environ: Mapping[str, str]) -> Expanded:
    if not re.fullmatch(_NAME, name):
        return Expanded("", malformed=True)
    if name not in environ:
        return Expanded("", (name,), (name,))
    return Expanded(environ[name], (name,))


def _fill(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match["name"] is None:
        return "${"
    return environ.get(match["name"], "") or match["default"] or ""


def read_key(environ: Mapping[str, str], *variables: str) -> Secret | None:
    """The key in the first of `variables` that is set and not empty. Raises `ConfigError` for one that no HTTP
    header can carry."""
    for variable in variables:
        value = environ.get(variable, "").strip()
        if value and not is_key(value):
            what = f"environment variable {variable} holds a character that a key cannot have"
            raise ConfigError([Problem(what, "set it again, with printable ASCII characters only")])
        if value:
            return Secret(value)
    return None


def parse_dotenv(text: str) -> dict[str, str]:
    """The variables of a `.env` file.

    `export` in front is allowed. Single quotes keep a value as it is; in double quotes `\\n`, `\\t`, `\\r` and
    `\\"` are escapes; both may span lines. Without quotes a value ends at ` #` or at the line's end. Lines of
    any other form are passed over; the last of two same names wins.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    return {match["name"]: _dotenv_value(match) for match in _DOTENV_LINE.finditer(text)}


def _dotenv_value(match: re.Match[str]) -> str:
    if match["single"] is not None:
        return match["single"]
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), match["double"], flags=re.DOTALL)
    plain = match["plain"] or ""
    return "" if plain.startswith("#") else re.split(r"\s#", plain, maxsplit=1)[0].strip()
