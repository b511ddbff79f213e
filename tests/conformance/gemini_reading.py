"""Gemini's recordings, read plainly: the parts of all responses in order. A whole answer is a stream of one.

Source: reference/wire/gemini.md sections 5 to 7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tests.conformance.reading import ANY_WORDS, Broken, Reading, Said, Tokens

_FILTERED = (
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT "
    "IMAGE_RECITATION ESCALATION PUP_LIMITED_DISABLED MODEL_ARMOR OTHER IMAGE_OTHER NO_IMAGE"
)
FINISH = {
    "MAX_TOKENS": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(_FILTERED.split(), "content_filter"),
}
# The model's own mistakes: an answer that is nothing else is of no use to a client.
_MISTAKES = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE")
_STATUS_BY_CODE = {400: 400, 404: 404, 429: 429}


def read_answer(body: bytes, model: str) -> Reading | Broken:
    return _read([json.loads(body)], model, whole=True)


def read_stream(body: bytes, model: str) -> Reading | Broken:
    """An event is `data:` and JSON on one line; an error may come as bare JSON."""
    blocks = [block.strip() for block in re.split(r"\r\n\r\n|\n\n", body.decode())]
    return _read([json.loads(block.removeprefix("data:")) for block in blocks if block], model, whole=False)


def _read(responses: Sequence[dict[str, Any]], model: str, *, whole: bool) -> Reading | Broken:
    candidates = [candidate for response in responses for candidate in response.get("candidates") or ()]
    parts = [part for candidate in candidates for part in (candidate.get("content") or {}).get("parts") or ()]
    spoken = any(part.get("text") or "functionCall" in part or "inlineData" in part for part in parts)
    error = next((response["error"] for response in responses if "error" in response), None)
    if error is not None:
        return Broken(_STATUS_BY_CODE.get(error["code"], 502), error["message"], midway=spoken)
    blocked = next((r["promptFeedback"] for r in responses if "blockReason" in r.get("promptFeedback", {})), None)
    reasons = [candidate["finishReason"] for candidate in candidates if candidate.get("finishReason")]
    if (not candidates or not reasons) and blocked is None and not (whole and spoken):
        return Broken(502, ANY_WORDS, midway=spoken)
    if reasons and reasons[-1] in _MISTAKES and not spoken:
        return Broken(502, ANY_WORDS)
    tokens = [response["usageMetadata"] for response in responses if "usageMetadata" in response]
    served = next((response["modelVersion"] for response in responses if "modelVersion" in response), model)
    said = _read_said(parts, candidates, reasons[-1] if reasons else None, blocked)
    return Reading(served, (said,), _read_tokens(tokens[-1]) if tokens else None)


def _read_said(
    parts: Sequence[dict[str, Any]],
    candidates: Sequence[dict[str, Any]],
    reason: Any,
    blocked: dict[str, Any] | None,
) -> Said:
    calls = tuple((p["functionCall"]["name"], p["functionCall"].get("args", {})) for p in parts if "functionCall" in p)
    finish = FINISH.get(reason, "stop")
    media = [part["inlineData"] for part in parts if "inlineData" in part]
    grounding = [candidate["groundingMetadata"] for candidate in candidates if "groundingMetadata" in candidate]
    logprobs = [candidate["logprobsResult"] for candidate in candidates if "logprobsResult" in candidate]
    refused = blocked is not None and reason is None
    return Said(
        finish="content_filter" if refused else "tool_calls" if calls and finish == "stop" else finish,
        text="".join(part.get("text", "") for part in parts if not part.get("thought")),
        reasoning="".join(part.get("text", "") for part in parts if part.get("thought")),
        refusal=blocked.get("blockReasonMessage", ANY_WORDS) if blocked and refused else "",
        calls=calls,
        signatures=frozenset(part["thoughtSignature"] for part in parts if "thoughtSignature" in part),
        annotations=_count_citations(grounding[-1]) if grounding else 0,
        images=sum(blob["mimeType"].startswith("image/") for blob in media),
        logprobs=sum(len(result["chosenCandidates"]) for result in logprobs),
        audio="".join(blob["data"] for blob in media if blob["mimeType"].startswith("audio/")),
    )


def _count_citations(grounding: dict[str, Any]) -> int:
    """A citation is a supported passage and a source with an address, whichever kind of source it is. A support
    may name a source that is not there."""
    chunks = dict(enumerate(grounding.get("groundingChunks", ())))
    addresses = {
        place: source["uri"] for place, chunk in chunks.items() for source in chunk.values() if "uri" in source
    }
    return sum(
        place in addresses
        for support in grounding.get("groundingSupports", ())
        for place in support.get("groundingChunkIndices", ())
    )


def _read_tokens(usage: dict[str, Any]) -> Tokens:
    """Some models count the thoughts among the candidates' tokens: the total tells."""
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    candidates, thoughts = usage.get("candidatesTokenCount", 0), usage.get("thoughtsTokenCount", 0)
    total = usage.get("totalTokenCount", 0)
    completion = candidates if prompt + candidates == total else candidates + thoughts
    cached = usage.get("cachedContentTokenCount", 0)
    return Tokens(prompt, completion, total or prompt + completion, cached, 0, thoughts)
