"""`feathergate check`: everything that is wrong with a configuration, and everything in it that has no effect.

It does all that a start does short of listening: what passes here starts.
"""

from __future__ import annotations

import asyncio

import click

from feathergate.cli.exit_code import FailedError
from feathergate.cli.source import read_configuration, render_config_error
from feathergate.config.schema import Config
from feathergate.errors import ConfigError


@click.command()
@click.argument("file", required=False)
def check(file: str | None) -> None:
    """Check a configuration without serving.

    FILE is by default feathergate.yaml or config.yaml in this folder, else the environment. Every problem is named
    with its file, line and column; so is what has no effect.
    """
    try:
        config = read_configuration(file)
        _compile(config)
    except ConfigError as error:
        raise FailedError(render_config_error(error)) from None
    for notice in config.notices:
        click.echo(str(notice))
    count = len(config.models)
    auth = "with a master key" if config.general.master_key else "without a master key"
    click.echo(f"ok: {config.path or 'the environment'}: {count} model{'s' * (count != 1)}, {auth}")


def _compile(config: Config) -> None:
    """Raise `ConfigError` with the problems that only show when addresses and files are looked at."""
    from feathergate.server.process import build_runtime

    loop = asyncio.new_event_loop()
    try:
        build_runtime(config, loop)
    finally:
        loop.close()
