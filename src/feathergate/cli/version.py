"""`feathergate version`: which FeatherGate, on which Python."""

from __future__ import annotations

import platform

import click

from feathergate import __version__


@click.command()
def version() -> None:
    """Say which version this is."""
    click.echo(f"feathergate {__version__} (Python {platform.python_version()})")
