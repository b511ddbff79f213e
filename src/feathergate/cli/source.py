"""Where the configuration comes from, and how its problems are shown. For every verb that needs one."""

from __future__ import annotations

import os

from feathergate.capability import Capability
from feathergate.config.load import find_file, from_environment, load, read_source
from feathergate.config.schema import Config
from feathergate.errors import ConfigError
from feathergate.providers import PROVIDERS


def read_configuration(file: str | None) -> Config:
    """The configuration of `file`, else of the file that lies in this folder, else of the environment.

    Raises `ConfigError` with every problem in it.
    """
    path = file or find_file()
    if path is None:
        return from_environment(os.environ)
    return load(path, os.environ, known_providers=PROVIDERS, capability=Capability)


def read_again(config: Config) -> Config:
    """What `config` came from, read once more; a file that has come into this folder since is not looked for.

    Raises `ConfigError` as `read_configuration` does.
    """
    return read_configuration(config.path) if config.path else from_environment(os.environ)


def list_files(config: Config) -> tuple[str, ...]:
    """The files that `config` came from; they need not be there."""
    dotenv = os.path.join(os.path.dirname(config.path), ".env")
    return (config.path, dotenv) if config.path else (dotenv,)


def render_config_error(error: ConfigError) -> str:
    """All problems, each with its line of the file and a caret where there is one, under a line that counts them."""
    from feathergate.config.report import render_problems

    count = len(error.problems)
    title = f"config error: {count} problem{'s' * (count != 1)}"
    return f"{title}\n\n{render_problems(error.problems, _read_text(error))}".rstrip()


def _read_text(error: ConfigError) -> str:
    """The file that the problems stand in; empty where there is none that could be read."""
    try:
        return read_source(next((problem.file for problem in error.problems if problem.line), ""))
    except ConfigError:
        return ""
