"""`docs/providers.md`, from the rows of `feathergate.providers`. `python docs/generate.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator

from feathergate.providers import MODEL, PROVIDERS, Provider

INTRODUCTION = """\
# Providers

<!-- Written by docs/generators/providers.py. Change src/feathergate/providers.py, not this page. -->

A model is written as `prefix/model-id` (see [configuration.md](configuration.md)); the prefixes are LiteLLM's. What
stands under `api_base` and the key's variable is used where `litellm_params` says nothing; a variable in brackets wins
over the address before it, and of several variables the first that is set counts. Any other host that speaks OpenAI's
Chat Completions is `openai_like/…` with its `api_base`.

```yaml
model_list:
  - model_name: llama
    litellm_params:
      model: groq/llama-3.3-70b-versatile
      api_key: ${GROQ_API_KEY}
  - model_name: own
    litellm_params:
      model: openai_like/qwen3
      api_base: http://gpu.example:8000/v1
```

A member of a request that a host is known not to take is *left out*: named in `x-feathergate-dropped`, or refused
where the translation is strict. Everything else goes through as the client wrote it, for the host to judge. *Pedantic*
hosts refuse members that OpenAI's API does not document: `thinking` and `cache_control` are left out, and so are
`reasoning_content`, `thinking_blocks` and `extra_content` of messages.

| provider | prefix | `api_base` | key variable | notes |
|---|---|---|---|---|
"""

AZURE_EXAMPLE = """\
```yaml
model_list:
  - model_name: gpt
    litellm_params:
      model: azure/my-deployment
      api_base: https://example.openai.azure.com/openai/v1
      api_key: ${AZURE_API_KEY}
```
"""


def render() -> str:
    """The whole page, as it is committed."""
    rows = [render_row(row) for name, row in sorted(PROVIDERS.items())]
    return INTRODUCTION + "\n".join(rows) + "\n" + render_azure(PROVIDERS["azure"])


def render_row(row: Provider) -> str:
    cells = (row.title, f"`{row.name}/`", render_base(row), render_key(row), " ".join(list_notes(row)))
    return f"| {' | '.join(cells)} |"


def render_base(row: Provider) -> str:
    usual = f"`{row.api_base}`" if row.api_base else "must be given" if row.needs_base else ""
    return f"{usual} (`{row.base_variable}`)" if row.base_variable else usual


def render_key(row: Provider) -> str:
    names = ", ".join(f"`{name}`" for name in row.key_variables)
    return f"{names} (optional)" if names and row.key_optional else names or "none"


def list_notes(row: Provider) -> Iterator[str]:
    """The quirks in words, then what the row says itself."""
    for old, new in row.quirks.renames.items():
        yield f"`{old}` is sent as `{new}`."
    if row.quirks.lacks:
        yield f"Left out: {', '.join(f'`{name}`' for name in sorted(row.quirks.lacks))}."
    if row.quirks.pedantic:
        yield "Pedantic."
    if row.key_header != "authorization":
        yield f"The key goes in `{row.key_header}`."
    if row.dated:
        yield "See below."
    if row.note:
        yield row.note


def render_azure(row: Provider) -> str:
    """The two kinds of URL."""
    dated = row.dated
    assert dated is not None
    lines = (
        "",
        "## Azure",
        "",
        "Two kinds of `api_base` work. `https://RESOURCE.openai.azure.com` leads to",
        f"`{dated.folder}{MODEL}/chat/completions?api-version=…`; the version is `api_version`, else the variable",
        f"`{dated.version_variable}`, else `{dated.version}`. One that ends in `{dated.undated}` leads to",
        f"`{dated.undated}/chat/completions`, without a version.",
        "",
        AZURE_EXAMPLE,
    )
    return "\n".join(lines)
