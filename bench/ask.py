"""What is asked: one request as each proxy wants it, so that the upstream answers all of them with the same bytes.

The gateway and its peers get OpenAI's request, nginx the provider's own. A long prompt is text as people paste it:
lines, quotation marks, and a character outside ASCII now and then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

PROVIDERS = ("openai", "anthropic", "gemini")
PROMPT = "Say in one sentence what a gateway is, and why it should be light."
_LINES = (
    'He asked: "What does a gateway do all day?"\n'
    "\tIt stands between those who ask and those who answer, and adds as little as it can to either.\n"
    "It is told naïve questions, café menus, and tables – a great many tables – of which it reads not one line.\n\n"
)


class Ask(NamedTuple):
    """A POST of `body`, which is JSON."""

    path: str
    body: str
    headers: Mapping[str, str] = {}


def render_long(size_bytes: int) -> str:
    """A prompt of about as many bytes."""
    return _LINES * (size_bytes // len(_LINES.encode()))


def render_chat(provider: str, stream: bool, prompt: str = PROMPT) -> Ask:
    """What a client of the gateway sends; the model is called after its provider."""
    messages = [{"role": "user", "content": prompt}]
    body = json.dumps({"model": provider, "stream": stream, "messages": messages}, ensure_ascii=False)
    return Ask("/v1/chat/completions", body)


def render_native(provider: str, stream: bool, prompt: str = PROMPT) -> Ask:
    """The same request in the provider's own API."""
    if provider == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        contents = [{"role": "user", "parts": [{"text": prompt}]}]
        body = json.dumps({"contents": contents}, ensure_ascii=False)
        return Ask(f"/v1beta/models/bench-model:{verb}", body)
    chat = render_chat(provider, stream, prompt)
    return chat._replace(path="/v1/messages") if provider == "anthropic" else chat
