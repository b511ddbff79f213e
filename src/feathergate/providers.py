"""Who can be asked: one row a host. A row is data: where, how to sign, which dialect, which spelling of its base.

A host that speaks a known dialect is one row here and nothing else. No row knows a model; what a model family can
do stands in `capability.py`. Sources: reference/wire/*.md section "Transport", issue "The gateway serves…".
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Dialect
from feathergate.dialects.gemini import GEMINI
from feathergate.dialects.messages import MESSAGES


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One host. `api_base` is where it is when the configuration says nothing.

    The path of a base is what stands before the dialect's own: `root` is added to one that has no path at all,
    and the `tails` (patterns), which people copy along with it, are taken off.
    """

    name: str
    dialect: Dialect
    transport: Literal["http", "mock"] = "http"
    api_base: str = ""
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    root: str = ""
    tails: tuple[str, ...] = ()


PROVIDERS: dict[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            name="openai",
            dialect=CHAT,
            api_base="https://api.openai.com/v1",
            root="/v1",
            tails=("/chat/completions", "/chat"),
        ),
        Provider(
            name="anthropic",
            dialect=MESSAGES,
            api_base="https://api.anthropic.com",
            key_header="x-api-key",
            key_prefix="",
            tails=("/messages", "/v1"),
        ),
        Provider(
            name="gemini",
            dialect=GEMINI,
            api_base="https://generativelanguage.googleapis.com",
            key_header="x-goog-api-key",
            key_prefix="",
            tails=("/models(/[^/]*)?", "/v1beta", "/v1"),
        ),
        Provider(name="mock", dialect=CHAT, transport="mock"),
    )
}


class Base(msgspec.Struct, frozen=True):
    """A base URL in parts; `path` has no slash at its end."""

    tls: bool
    host: str
    port: int
    path: str


def parse_base(api_base: str, provider: Provider) -> Base:
    """`api_base` with its slips mended; raises ValueError, saying what is wrong, for what is no HTTP address."""
    if "://" not in api_base:
        raise ValueError("the address has no scheme: write http://… or https://…")
    parts = urlsplit(api_base.strip())
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the scheme '{parts.scheme}' is neither http nor https")
    if not parts.hostname:
        raise ValueError("the address names no host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address holds more than scheme, host, port and path")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    return Base(tls, parts.hostname, port, _mend_path(parts.path, provider))


def _mend_path(path: str, provider: Provider) -> str:
    if provider.tails:
        path = re.sub(rf"(?:{'|'.join(provider.tails)}|/)+\Z", "", path)
    root = provider.root
    while root and path.endswith(root + root):
        path = path.removesuffix(root)
    return path or root
