"""The command `feathergate`: a verb a file, imported when it is used.

`main` is the way in; a command line that begins with an option, and an empty one, serve. `docs/cli.md` is generated
from what stands here. What a verb prints on stdout is its answer; everything else goes to stderr.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from feathergate import __version__

BEGAN = time.monotonic()
"""When this process began to be the command, in seconds of the monotonic clock."""

VERBS = {
    "serve": "serve",
    "check": "check",
    "validate": "check",
    "explain": "explain",
    "reload": "reload",
    "version": "version",
}
"""Each verb, and the module and function of this package that it is."""

DEFAULT_VERB = "serve"
_OWN_OPTIONS = ("--help", "-h", "--version")


class Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        name = VERBS[cmd_name]
        command: click.Command = getattr(import_module(f"{__name__}.{name}"), name)
        return command


@click.group("feathergate", cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="feathergate", message="%(prog)s %(version)s")
def verbs() -> None:
    """A light, faithful gateway for language models: OpenAI's API in front, every provider's own behind.

    Without a verb, `serve`.
    """


def complete(arguments: Sequence[str]) -> list[str]:
    """The command line with its verb: one that is empty or begins with an option means `serve`."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in _OWN_OPTIONS):
        return [DEFAULT_VERB, *arguments]
    return list(arguments)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line (`sys.argv`'s by default) and exit with its code; see `exit_code.py`."""
    verbs.main(complete(sys.argv[1:] if arguments is None else arguments), prog_name="feathergate")
