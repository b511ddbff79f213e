"""`docs/configuration.md`, from the structs and tables that the configuration is read with.

Run it to write the page: `python docs/generators/configuration.py`. A test fails when the page falls behind.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import msgspec
from msgspec.inspect import Metadata, Type, UnionType, type_info

from feathergate.capability import Capability
from feathergate.config.litellm import SECTIONS, SHARED
from feathergate.config.load import FILE_LIMIT_BYTES, FILE_NAMES, MASTER_KEY_LENGTH
from feathergate.config.schema import (
    AllowedFailsPolicy,
    GeneralSettings,
    HedgeSettings,
    LitellmParams,
    LitellmSettings,
    ModelAlias,
    ModelEntry,
    ModelInfo,
    RetryPolicy,
    RouterSettings,
    ServerSettings,
)
from feathergate.config.section import expectation

PAGE = Path(__file__).parents[1] / "configuration.md"

INTRODUCTION = """\
# Configuration

<!-- Written by docs/generators/configuration.py. Change the structs in src/feathergate/config, not this page. -->

FeatherGate reads LiteLLM's `config.yaml`. `feathergate check FILE` says everything that is wrong with a file, with
line, column and remedy, and everything in it that has no effect.

```yaml
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-5-mini
      api_key: os.environ/OPENAI_API_KEY
      timeout: 60
  - model_name: anthropic/*
    litellm_params:
      model: anthropic/*
      api_key: ${ANTHROPIC_API_KEY}

general_settings:
  master_key: os.environ/FEATHERGATE_MASTER_KEY

server_settings:
  body_limit_bytes: 67108864
```

## Where it comes from

`--config FILE`, else the first of FILE_NAMES in the folder. A file may have FILE_LIMIT MiB.

Without a file, or with one that has no `model_list`, the models are `openai/*`, `anthropic/*` and `gemini/*` for
those of `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` and `GEMINI_API_KEY` that are set, and always `mock/echo`, which needs
no key.

## Variables

| written | means |
|---|---|
| `os.environ/NAME` | the variable, as the whole value |
| `${NAME}` | the variable, anywhere in a text |
| `${NAME:-default}` | the variable, or `default` if it is unset or empty |
| `$${` | a literal `${`; any other `$` is itself |

They work in every value that has an effect, at any depth, in lists too, and may stand for numbers. A variable that is
not set is an error. Variables of a `.env` file beside the configuration (or, without one, in the folder where
FeatherGate starts) count as well, and never override those of the process.

## Files from LiteLLM

What LiteLLM's file says and FeatherGate does not do is named once at the start as without effect, and the file loads.
A key that is nearly the name of a setting is an error, other unknown keys are a warning. Where leaving a key out could
weaken what you asked for, the file is refused. Entries with the same `model_name` are one group, of which each serves.
One whose provider is not supported loads with a warning and is left out; where a group has no other, requests to it are
answered with 400. A default parameter that no client could send (`temperature: 9`) is an error. Keys are read as text,
dates stay text, and a key that stands twice in one mapping is an error. Keys at the top that begin with `x-` are yours:
a place for anchors. Fallbacks, aliases and hedged groups that name no model get a warning; so do fallbacks that lead in
a circle.

A master key shorter than MASTER_KEY_LENGTH characters gets a warning; an empty one is an error.
"""


def _read_prose(struct: type[msgspec.Struct]) -> str:
    """What a docstring says after its first paragraph, as paragraphs of a page."""
    return "\n" + (inspect.getdoc(struct) or "").partition("\n\n")[2]


CAPABILITIES = """\
What the model can do. FeatherGate knows each family of models by its name; what is written here wins over what it
knows, key by key. The defaults are those of a model of no known family. An unknown key is an error.

```yaml
model_list:
  - model_name: house-model
    litellm_params:
      model: anthropic/claude-house-1
      api_key: os.environ/ANTHROPIC_API_KEY
    model_info:
      translation: strict
      capability: {thinking: budget, max_output_tokens: 8192}
```
"""

BESIDE = """\
One deployment: where the model is, how to sign, how much it can take, and what a request to it holds by default. `rpm`,
`tpm`, `weight` and `order` are taken from beside `litellm_params` too, with a warning.
"""

ELSEWHERE = (
    "Defaults for every model. These keys of `router_settings` may stand here too, as LiteLLM has it; what "
    f"`router_settings` says wins: {', '.join(f'`{key}`' for key in sorted(SHARED))}.\n"
)

ROUTING = """\
How a request is carried out: which deployment is asked, what follows a failure, and how long it may take.

```yaml
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-5-mini, api_key: os.environ/OPENAI_API_KEY, weight: 3}
  - model_name: fast
    litellm_params: {model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY, weight: 1}
  - model_name: long
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY}

router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
  retry_policy: {TimeoutErrorRetries: 1}
  fallbacks: [{fast: [long]}]
  context_window_fallbacks: [{fast: [long]}]

server_settings:
  hedge: {fast: {share: 0.05}}
```

`feathergate check FILE` shows each group with its deployments and fallbacks.
"""

TABLES: tuple[tuple[str, str, type[msgspec.Struct]], ...] = (
    ("model_list[]", "One entry for each model.", ModelEntry),
    ("model_list[].litellm_params", BESIDE, LitellmParams),
    ("model_list[].model_info", "", ModelInfo),
    ("model_list[].model_info.capability", CAPABILITIES + _read_prose(Capability), Capability),
    ("general_settings", "", GeneralSettings),
    ("litellm_settings", ELSEWHERE, LitellmSettings),
    ("router_settings", ROUTING + _read_prose(RouterSettings), RouterSettings),
    ("router_settings.retry_policy", "", RetryPolicy),
    ("router_settings.allowed_fails_policy", "", AllowedFailsPolicy),
    ("router_settings.model_group_alias.ALIAS", "", ModelAlias),
    ("server_settings", "FeatherGate's own section.", ServerSettings),
    ("server_settings.hedge.GROUP", "", HedgeSettings),
)

WRITTEN_AS = {"params": "litellm_params", "defaults": "any other key", "others": "any other key"}
UNWRITTEN = ("line",)


def render() -> str:
    """The whole page, as it is committed."""
    introduction = (
        INTRODUCTION.replace("FILE_NAMES", ", ".join(f"`{name}`" for name in FILE_NAMES))
        .replace("FILE_LIMIT", str(FILE_LIMIT_BYTES // 1024**2))
        .replace("MASTER_KEY_LENGTH", str(MASTER_KEY_LENGTH))
    )
    tables = [render_table(*table) for table in TABLES]
    return "\n".join([introduction, *tables, render_others()])


def render_table(title: str, words: str, struct: type[msgspec.Struct]) -> str:
    """One section: its fields with what they take, their default and, unless prose tells it, what they mean."""
    rows = [_build_row(field) for field in msgspec.structs.fields(struct) if field.name not in UNWRITTEN]
    width = 4 if any(row[3] for row in rows) else 3
    lines = [" | ".join(row[:width]) for row in (("key", "takes", "default", "meaning"), *rows)]
    head, *body = [f"| {line} |" for line in lines]
    doc = (words or inspect.getdoc(struct) or "").rstrip()
    return "\n".join([f"## `{title}`", "", doc, "", head, "|---" * width + "|", *body, ""])


def _build_row(field: msgspec.structs.FieldInfo) -> tuple[str, str, str, str]:
    kind = type_info(field.type)
    name = WRITTEN_AS.get(field.name, field.name)
    takes = "anything" if name == "any other key" else expectation(kind)[0]
    key = f"`{name}`" if " " not in name else name
    return key, takes, _render_default(field), _description(kind)


def _description(kind: Type) -> str:
    """A field's documentation, from wherever its type carries it."""
    if isinstance(kind, Metadata):
        return str((kind.extra_json_schema or {}).get("description") or _description(kind.type))
    if isinstance(kind, UnionType):
        return next(filter(None, map(_description, kind.types)), "")
    return ""


def _render_default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default: Any = field.default
    if default is msgspec.NODEFAULT or default in (None, ()) or isinstance(default, msgspec.Struct):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if field.name.endswith("_bytes") and default >= 1024:
        unit, size = ("MiB", 1024**2) if default >= 1024**2 else ("KiB", 1024)
        return f"`{default}` ({default // size} {unit})"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def render_others() -> str:
    """LiteLLM's keys that are not read, from the tables that judge them."""
    blocks = ["## Keys of LiteLLM that are not read", ""]
    for section, keys in SECTIONS.items():
        groups = (
            ("without effect yet", keys.later),
            ("without meaning here", keys.never),
            ("refused", keys.refused.keys()),
        )
        lines = [f"- {words}: {', '.join(f'`{key}`' for key in sorted(names))}" for words, names in groups if names]
        if lines:
            blocks += [f"**{f'`{section}`' if section else 'Top level'}**", "", *lines, ""]
    return "\n".join(blocks)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
