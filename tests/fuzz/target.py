"""What is fuzzed: a gateway in a process of its own, asked over one connection; and what each answer must be."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.command import serving
from tests.e2e.native import NATIVES
from tests.fuzz.upstream import serving_upstream

PATIENCE_S = 10
ERROR_KEYS = {"message", "type", "param", "code"}


class Answer(NamedTuple):
    status: int
    kind: str
    body: bytes


class Target:
    """Asks, checks every answer, and counts them by model and status."""

    def __init__(self, port: int) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def ask(self, body: bytes, label: str = "") -> Answer:
        """Send one body; raises `AssertionError` unless it is answered as it must be."""
        self._connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers["content-type"], response.read())
        self.counts[label, answer.status] += 1
        check_answer(answer)
        return answer

    def close(self) -> None:
        self._connection.close()


@contextmanager
def serving_target(folder: Path) -> Iterator[Target]:
    """A gateway with mock models and one of each provider, whose upstream always answers."""
    with serving_upstream() as port:
        (folder / "config.yaml").write_text(json.dumps(build_config(port)))
        with serving("serve", "--config", "config.yaml", cwd=folder) as gateway:
            target = Target(gateway.started["port"])
            try:
                yield target
            finally:
                target.close()
            assert "Traceback" not in gateway.stderr.read_text()


def build_config(port: int) -> Any:
    base = f"http://127.0.0.1:{port}"
    models: list[dict[str, Any]] = [
        {
            "model_name": f"fuzz-{native.name}",
            "litellm_params": {"model": f"{native.name}/{native.model}", "api_base": base},
        }
        for native in NATIVES
    ]
    mocks = [{"model_name": f"fuzz-{kind}", "litellm_params": {"model": f"mock/{kind}"}} for kind in ("echo", "tools")]
    return {"model_list": models + mocks, "server_settings": {"access_log": False}}


def check_answer(answer: Answer) -> None:
    """A completion, a stream of chunks that ends, or an error of ours that blames nobody but the client."""
    assert answer.status < 500, answer
    if answer.status != 200:
        check_error(json.loads(answer.body))
    elif answer.kind.startswith("text/event-stream"):
        check_stream(answer.body)
    else:
        ChatCompletion.model_validate_json(answer.body)


def check_error(body: Any) -> None:
    assert set(body) == {"error"}
    assert set(body["error"]) == ERROR_KEYS
    assert body["error"]["message"]
    assert body["error"]["type"] == "feathergate_error"


def check_stream(body: bytes) -> None:
    *events, rest = body.decode().split("\n\n")
    assert rest == ""
    data = [event.removeprefix("data: ") for event in events if not event.startswith(":")]
    if data[-1] == "[DONE]":
        data.pop()
    else:
        check_error(json.loads(data.pop()))
    for chunk in data:
        ChatCompletionChunk.model_validate(drop_custom(json.loads(chunk)))


def drop_custom(chunk: Any) -> Any:
    """A chunk without its calls of custom tools, which the SDK has no type for in a stream."""
    for choice in chunk["choices"]:
        calls = choice["delta"].get("tool_calls") or []
        choice["delta"]["tool_calls"] = [call for call in calls if call.get("type") != "custom"]
    return chunk
