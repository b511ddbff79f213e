"""The rows: where each base URL leads, however it is written, and what a host does otherwise than OpenAI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feathergate.capability import find_capability
from feathergate.dialects.chat import CHAT
from feathergate.dialects.contract import Built, Quirks, Target
from feathergate.errors import ClientError
from feathergate.providers import PROVIDERS, Base, build_route, parse_base
from feathergate.wire.codec import decode_chat

HOST = "https://host.example:8443"
SPELLINGS = {
    "openai": (
        "/v1",
        (
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1//",
            "/v1/v1",
            "/v1/v1/",
            "/v1/chat/completions",
            "/v1/chat/completions/",
            "/v1/chat",
        ),
    ),
    "anthropic": ("", ("", "/", "/v1", "/v1/", "/v1/v1", "/v1/messages", "/v1/messages/", "/v1/v1/messages")),
    "gemini": (
        "",
        (
            "",
            "/",
            "/v1beta",
            "/v1beta/",
            "/v1",
            "/v1beta/v1beta",
            "/v1beta/models",
            "/v1beta/models/",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        ),
    ),
}
each_spelling = pytest.mark.parametrize(
    ("name", "spelling"), [(name, item) for name, (_, items) in SPELLINGS.items() for item in items]
)


@each_spelling
def test_every_spelling_of_a_base_is_one_base(name: str, spelling: str) -> None:
    assert parse_base(HOST + spelling, PROVIDERS[name]) == Base(True, "host.example", 8443, SPELLINGS[name][0])


@each_spelling
def test_path_of_a_proxy_in_front_is_kept(name: str, spelling: str) -> None:
    path = parse_base(f"{HOST}/team/llm{spelling}", PROVIDERS[name]).path
    assert path == "/team/llm" + (SPELLINGS[name][0] if "/v1" in spelling else "")


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("path", ["/v12", "/mychat", "/v1x", "/models-of-mine", "/my/v1alpha"])
def test_path_that_only_looks_alike_is_kept(name: str, path: str) -> None:
    assert parse_base(HOST + path, PROVIDERS[name]).path == path


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if row.api_base])
def test_default_base_is_its_own_reading(name: str) -> None:
    row = PROVIDERS[name]
    base = parse_base(row.api_base, row)
    assert base.address + base.path == row.api_base


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("http://127.0.0.1:8000", Base(False, "127.0.0.1", 8000, "/v1")),
        ("http://host", Base(False, "host", 80, "/v1")),
        ("HTTPS://Host.Example", Base(True, "host.example", 443, "/v1")),
        ("https://[::1]:9/", Base(True, "::1", 9, "/v1")),
    ],
)
def test_address_is_taken_apart(address: str, base: Base) -> None:
    assert parse_base(address, PROVIDERS["openai"]) == base


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("host/v1", "scheme"),
        ("ftp://host", "scheme"),
        ("http:///v1", "host"),
        ("http://user:password@host", "more than"),
        ("http://host/v1?key=secret", "more than"),
        ("http://host/v1#x", "more than"),
        ("http://host:99999", "range"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(address: str, word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        parse_base(address, PROVIDERS["openai"])
    assert "password" not in str(caught.value)
    assert "secret" not in str(caught.value)


# The hosts.

PREFIXES = """openai anthropic gemini groq openrouter ollama ollama_chat deepseek mistral hosted_vllm together_ai
fireworks_ai xai cerebras nvidia_nim perplexity azure dashscope moonshot openai_like custom_openai mock"""


def test_every_prefix_of_litellm_s_that_is_promised_has_a_row() -> None:
    assert set(PREFIXES.split()) == set(PROVIDERS)
    assert all(row.name == name and row.title for name, row in PROVIDERS.items())


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if row.root])
@pytest.mark.parametrize("spelling", ["", "/", "{root}", "{root}/", "{root}/chat/completions", "{root}{root}"])
def test_root_of_a_host_is_found_in_every_spelling(name: str, spelling: str) -> None:
    row = PROVIDERS[name]
    assert parse_base(HOST + spelling.format(root=row.root), row).path == row.root


@pytest.mark.parametrize("spelling", ["", "/v1", "/api", "/api/chat", "/api/generate", "/v1/chat/completions"])
def test_ollama_is_asked_through_its_interface_like_openai_s(spelling: str) -> None:
    assert parse_base("http://localhost:11434" + spelling, PROVIDERS["ollama_chat"]).path == "/v1"


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("", "/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"),
        ("/openai", "/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"),
        ("/openai/deployments/", "/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"),
        ("/team/{x}", "/team/%7Bx%7D/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"),
        ("/openai/deployments/own", "/openai/deployments/own/chat/completions?api-version=2024-10-21"),
        ("/openai/deployments/own/chat/completions", "/openai/deployments/own/chat/completions?api-version=2024-10-21"),
        ("/openai/v1", "/openai/v1/chat/completions"),
        ("/openai/v1/", "/openai/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/openai/v1/chat/completions"),
    ],
)
def test_azure_s_url_names_deployment_and_version_but_on_the_newer_surface(base: str, target: str) -> None:
    row = PROVIDERS["azure"]
    route = build_route(parse_base("https://r.openai.azure.com" + base, row).path, row, "2024-10-21")
    assert route.fill("/chat/completions", "my/gpt") == target


def test_version_of_azure_is_quoted_and_has_a_default() -> None:
    assert build_route("", PROVIDERS["azure"], "a&b=c").query == "?api-version=a%26b%3Dc"
    assert build_route("", PROVIDERS["azure"]).query == "?api-version=2025-04-01-preview"
    assert build_route("/v1", PROVIDERS["openai"], "2024-10-21").query == ""


# Quirks.

HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def build(name: str, *, strict: bool = False, **members: Any) -> Built:
    row = PROVIDERS[name]
    target = Target("a-model", find_capability("a-model"), strict, quirks=row.quirks)
    return row.dialect.build_request(*decode_chat(json.dumps(HELLO | members).encode()), target)


def sent(name: str, **members: Any) -> dict[str, Any]:
    """What is sent beyond the model and the messages."""
    return {key: value for key, value in json.loads(build(name, **members).body).items() if key not in HELLO}


def each_quirk(kind: str) -> pytest.MarkDecorator:
    cases = [(name, quirk) for name, row in PROVIDERS.items() for quirk in sorted(getattr(row.quirks, kind))]
    return pytest.mark.parametrize(("name", "quirk"), cases)


VALUES: dict[str, Any] = {
    "logit_bias": {"1": 1},
    "logprobs": True,
    "top_logprobs": 2,
    "store": True,
    "stream_options": {},
    "num_ctx": 4096,
}


@each_quirk("lacks")
def test_what_a_host_lacks_is_left_out_and_said(name: str, quirk: str) -> None:
    built = build(name, **{quirk: VALUES.get(quirk, "text"), "temperature": 1})
    assert json.loads(built.body) == HELLO | {"model": "a-model", "temperature": 1}
    assert built.dropped == (quirk,)


@each_quirk("lacks")
def test_what_a_host_lacks_is_refused_where_strict_and_nothing_where_null(name: str, quirk: str) -> None:
    with pytest.raises(ClientError) as caught:
        build(name, strict=True, **{quirk: VALUES.get(quirk, "text")})
    assert caught.value.param == quirk
    assert quirk not in json.loads(build(name, strict=True, **{quirk: None}).body)


@each_quirk("renames")
def test_what_a_host_names_otherwise_is_sent_under_its_name(name: str, quirk: str) -> None:
    known = PROVIDERS[name].quirks.renames[quirk]
    assert sent(name, **{quirk: 5}) == {known: 5}
    assert sent(name, **{quirk: 5, known: 6}) == {known: 6}
    assert sent(name, **{quirk: None, known: 6}) == {known: 6}
    assert build(name, strict=True, **{quirk: 5}).dropped == ()


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if row.quirks.pedantic])
def test_pedantic_host_gets_no_members_of_ours(name: str) -> None:
    answer = {"role": "assistant", "content": "a", "reasoning_content": "hm", "thinking_blocks": []}
    built = build(name, messages=[*HELLO["messages"], answer], thinking={"type": "enabled"})
    assert json.loads(built.body)["messages"][1] == {"role": "assistant", "content": "a"}
    assert built.dropped == ("thinking",)


PLAIN = [name for name, row in PROVIDERS.items() if row.quirks == Quirks() and row.dialect is CHAT]


@pytest.mark.parametrize("name", PLAIN)
def test_host_without_quirks_gets_the_client_s_bytes(name: str) -> None:
    row = PROVIDERS[name]
    data = b'{"model":"m","messages":[{"role":"user","x":1e400}],"unknown":[1, 2],"max_tokens":null,"store":true}'
    built = CHAT.build_request(*decode_chat(data), Target("m2", find_capability("m2"), quirks=row.quirks))
    assert built.body == data.replace(b'"m"', b'"m2"')
