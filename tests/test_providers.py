"""Where a base URL leads, however it is written."""

from __future__ import annotations

import pytest

from feathergate.providers import PROVIDERS, Base, parse_base

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


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if row.transport == "http"])
def test_default_base_is_its_own_reading(name: str) -> None:
    row = PROVIDERS[name]
    base = parse_base(row.api_base, row)
    assert f"https://{base.host}{base.path}" == row.api_base


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
