"""What the command's exit codes mean, and how a verb ends with one."""

from __future__ import annotations

from enum import IntEnum
from typing import IO, Any

import click


class ExitCode(IntEnum):
    """Scripts may rely on these."""

    DONE = 0
    FAILED = 1
    REFUSED = 2


MEANINGS = {
    ExitCode.DONE: "Done: served and drained after SIGTERM or SIGINT; the configuration is right.",
    ExitCode.FAILED: "It could not be done: the address cannot be listened on; `check` found problems; `explain` "
    "shows an error; `reload` was refused.",
    ExitCode.REFUSED: "Nothing was started: the command line or the configuration is wrong, or not safe.",
}


class EndError(click.ClickException):
    """Ends the command with words on stderr, which say what is wrong and how to mend it."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


class FailedError(EndError):
    exit_code = ExitCode.FAILED


class RefusedError(EndError):
    exit_code = ExitCode.REFUSED
