"""`feathergate version`."""

from __future__ import annotations

import platform

import pytest
from click.testing import CliRunner

from feathergate import __version__
from feathergate.cli import verbs


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version_is_that_of_the_package(arguments: list[str]) -> None:
    assert CliRunner().invoke(verbs, arguments).output.startswith(f"feathergate {__version__}")


def test_version_names_the_python() -> None:
    assert platform.python_version() in CliRunner().invoke(verbs, ["version"]).output
