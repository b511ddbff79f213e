"""Keys and tokens out of text that others wrote, before a client, a log or a metric sees it.

Providers quote credentials in their errors, whole or in part. What looks like one is replaced, what surrounds it
stays; a false alarm costs a word, a miss costs a key. Only shapes are known here, never a configured key. Every
pattern is linear in the text's length.
"""

from __future__ import annotations

import re

MASK = "***"

# Each pattern's first group, where it has one, is what stays in front of the mask.
_SECRETS = re.compile(
    r"""
    (?<![A-Za-z0-9])(?:sk|pk|rk|csk|xai|pplx|nvapi|sess)-[A-Za-z0-9_*.\-]{6,}  # OpenAI, Anthropic and their like
    | (?<![A-Za-z0-9])(?:gsk|fw)_(?=[A-Za-z]*[0-9*])[A-Za-z0-9*]{6,}        # Groq, Fireworks
    | (?<![A-Za-z0-9])AIza[A-Za-z0-9_*\-]{6,}                               # Google API keys
    | (?<![A-Za-z0-9])ya29\.[A-Za-z0-9_\-]{6,}                              # Google OAuth tokens
    | (?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?  # JSON web tokens
    | (?i:\b(?P<scheme>(?:bearer|basic)\s+))(?=[A-Za-z0-9._~+/=*\-]*[0-9*])[A-Za-z0-9._~+/=*\-]{6,}
    | (?i:\b(?P<header>(?:x-api-key|x-goog-api-key|api[_-]key)["']?\s*[:=]\s*["']?))[^\s"',;&]{4,}
    | (?i:(?P<query>[?&](?:key|api_key|token|access_token)=))[^\s"'&]{4,}
    """,
    re.VERBOSE,
)


def mask_secrets(text: str) -> str:
    """`text` with everything that looks like a credential replaced by `***`."""
    return _SECRETS.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    kept = match["scheme"] or match["header"] or match["query"] or ""
    return kept + MASK
