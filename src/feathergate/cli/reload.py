"""`feathergate reload`: have a gateway that runs read its configuration anew, and see what that changes.

It asks the gateway over HTTP, with the key that the configuration here has. What the file holds is checked here first.
"""

from __future__ import annotations

from typing import Any

import click
import msgspec

from feathergate.cli.address import DEFAULT, Address, url
from feathergate.cli.exit_code import FailedError
from feathergate.cli.serve import AddressType
from feathergate.cli.source import read_configuration, render_config_error
from feathergate.errors import ConfigError

_TIMEOUT_S = 60.0
_OTHER_KEY = (
    "the gateway runs with another master key than this configuration has: send its process SIGHUP, as in "
    "kill -HUP PID, or start it again"
)


@click.command()
@click.option(
    "--config",
    "-c",
    "file",
    metavar="FILE",
    envvar=["FEATHERGATE_CONFIG", "CONFIG_FILE_PATH"],
    show_envvar=True,
    help="The configuration that the gateway runs with. Without it as for serve.",
)
@click.option(
    "--bind",
    type=AddressType(),
    default=str(DEFAULT),
    envvar="FEATHERGATE_BIND",
    show_default=True,
    show_envvar=True,
    help="Where the gateway listens.",
)
def reload(file: str | None, bind: Address) -> None:
    """Have a running gateway read its configuration anew.

    Prints what has changed. A configuration that is wrong leaves the old one in use. Requests under way keep the
    configuration that they began with.
    """
    try:
        config = read_configuration(file)
    except ConfigError as error:
        raise FailedError("nothing was reloaded: " + render_config_error(error)) from None
    master_key = config.general.master_key
    status, answer = _ask(bind, "" if master_key is None else master_key.reveal())
    if status == 401 and master_key is not None:
        raise FailedError(_OTHER_KEY)
    if status != 200:
        raise FailedError(_find_message(answer) or f"{bind} answers with status {status}: is that the gateway?")
    for change in answer.get("changes") or ("nothing has changed",):
        click.echo(change)


def _ask(address: Address, key: str) -> tuple[int, dict[str, Any]]:
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    parts = urlsplit(url(address))
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", "/-/reload", headers={"authorization": f"Bearer {key}"} if key else {})
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise FailedError(f"no answer from {address} ({error}): say where the gateway listens with --bind") from None
    finally:
        connection.close()
    try:
        return response.status, msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return response.status, {}


def _find_message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else ""
