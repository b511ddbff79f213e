"""`feathergate check`: everything that is wrong with a configuration, everything in it that has no effect, what serves.

It does all that a start does short of listening: what passes here starts.
"""

from __future__ import annotations

import asyncio

import click

from feathergate.cli.exit_code import FailedError
from feathergate.cli.group import list_groups, render_group
from feathergate.cli.source import read_configuration, render_config_error
from feathergate.config.schema import Config
from feathergate.errors import ConfigError


@click.command()
@click.argument("file", required=False)
def check(file: str | None) -> None:
    """Check a configuration without serving.

    FILE is by default feathergate.yaml or config.yaml in this folder, else the environment. Every problem is named
    with its file, line and column; so is what has no effect. Groups of several deployments, and models with
    fallbacks, are shown with them.
    """
    try:
        config = read_configuration(file)
        _compile(config)
    except ConfigError as error:
        raise FailedError(render_config_error(error)) from None
    for notice in config.notices:
        click.echo(str(notice))
    for group in list_groups(config):
        click.echo(render_group(group))
    click.echo(render_summary(config))


def render_summary(config: Config) -> str:
    """One line: where it is from, how much there is, who may come in."""
    models, deployments = len(config.groups()), len(config.models)
    counts = f"{models} model{'s' * (models != 1)}" + f", {deployments} deployments" * (deployments > models)
    auth = "with a master key" if config.general.master_key else "without a master key"
    return f"ok: {config.path or 'the environment'}: {counts}, {auth}"


def _compile(config: Config) -> None:
    """Raise `ConfigError` with the problems that only show when addresses and files are looked at."""
    from feathergate.server.process import build_runtime

    loop = asyncio.new_event_loop()
    try:
        build_runtime(config, loop)
    finally:
        loop.close()
