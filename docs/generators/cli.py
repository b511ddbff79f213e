"""`docs/cli.md`, from the command's own options and help. `python docs/generate.py` writes it."""

from __future__ import annotations

import click

from feathergate.cli import DEFAULT_VERB, VERBS, verbs
from feathergate.cli.exit_code import MEANINGS

INTRODUCTION = """\
# Command line

<!-- Written by docs/generators/cli.py. Change src/feathergate/cli, not this page. -->

A command line that begins with an option, and an empty one, mean `feathergate DEFAULT_VERB`: the shape of LiteLLM's
`--config FILE --port 4000` works unchanged.

```console
$ feathergate serve --config config.yaml --bind 127.0.0.1:8080
$ feathergate check config.yaml
```

An address that other machines can reach is refused without a master key, unless `--no-auth` says that this is meant.
Names of hosts are not resolved: write an IP address or `localhost`.

When all is ready, a terminal shows a banner (without colour where `NO_COLOR` is set), and any other stdout gets one
line of JSON: `event` (`started`), `address`, `port`, `models`, `auth`, `config`, `version`, `workers`, `ready_ms`. With
port 0 this is where the chosen port stands.

With `--workers` above 1 the workers share one listening socket, those that die are replaced, and `/metrics` answers for
all of them.
"""


def render() -> str:
    """The whole page, as it is committed."""
    blocks = [INTRODUCTION.replace("DEFAULT_VERB", DEFAULT_VERB), render_exit_codes()]
    return "\n".join([*blocks, *(render_verb(name) for name in VERBS if VERBS[name] == name)])


def render_exit_codes() -> str:
    rows = [f"| {code:d} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["## Exit codes", "", "| code | meaning |", "|---|---|", *rows, ""])


def render_verb(name: str) -> str:
    """One verb: how it is written, what it does, its options."""
    context = click.Context(verbs, info_name="feathergate")
    command = verbs.get_command(context, name)
    assert command is not None
    own = click.Context(command, info_name=name, parent=context, terminal_width=120)
    usage = command.get_usage(own).removeprefix("Usage: ")
    aliases = [alias for alias, module in VERBS.items() if module == name != alias]
    also = [f"Also {', '.join(f'`feathergate {alias}`' for alias in aliases)}.", ""] if aliases else []
    records = [option.get_help_record(own) for option in command.params if isinstance(option, click.Option)]
    rows = [f"| `{names}` | {meaning} |".replace("|auto", "\\|auto") for names, meaning in filter(None, records)]
    table = ["| option | meaning |", "|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## `{usage}`", "", _reflow(command.help or ""), "", *also, *table])


def _reflow(text: str) -> str:
    """A docstring as paragraphs of Markdown."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
