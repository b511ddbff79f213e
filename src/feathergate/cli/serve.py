"""`feathergate serve`: read the configuration, take the address, start one worker or a supervisor of many.

Everything that can be wrong is found before anything is served, and is told in words that mend it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from feathergate.cli import BEGAN
from feathergate.cli.address import (
    DEFAULT,
    Address,
    explain_failure,
    is_loopback,
    open_socket,
    parse_address,
)
from feathergate.cli.exit_code import ExitCode, FailedError, RefusedError
from feathergate.cli.log import configure_logging, write_at_once
from feathergate.cli.source import list_files, read_again, read_configuration, render_config_error
from feathergate.config.schema import Config
from feathergate.errors import ConfigError, Problem

if TYPE_CHECKING:
    from feathergate.routing.board import Board
    from feathergate.server.configured import Configured
    from feathergate.server.contract import Reload
    from feathergate.server.reload import Reloading
    from feathergate.server.workers import Cradle

_log = logging.getLogger("feathergate.config")
_LEVELS = {"warning": logging.WARNING, "info": logging.INFO}
_WORKER_LIMIT = 1024
_NOTHING_STARTED = "nothing was started: "
_STDOUT, _STDERR = 1, 2


class AddressType(click.ParamType[Address]):
    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, Address):
            return value
        try:
            return parse_address(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class WorkersType(click.ParamType[int]):
    name = "N|auto"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "auto":
            from feathergate.server.workers import count_cores

            return count_cores()
        text = str(value)
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= _WORKER_LIMIT):
            self.fail(f"'{text}' is neither a number from 1 to {_WORKER_LIMIT} nor auto", param, ctx)
        return int(text)


@click.command()
@click.option(
    "--config",
    "-c",
    "file",
    metavar="FILE",
    envvar=["FEATHERGATE_CONFIG", "CONFIG_FILE_PATH"],
    show_envvar=True,
    help="The configuration. Without it feathergate.yaml or config.yaml in this folder, else the environment's keys.",
)
@click.option(
    "--bind",
    type=AddressType(),
    default=str(DEFAULT),
    envvar="FEATHERGATE_BIND",
    show_default=True,
    show_envvar=True,
    help="Where to listen: an IP address or localhost, and a port; port 0 picks a free one.",
)
@click.option("--host", metavar="HOST", help="In place of the host in --bind.")
@click.option("--port", "-p", metavar="PORT", type=click.IntRange(0, 65535), help="In place of the port in --bind.")
@click.option(
    "--workers",
    "--num_workers",
    type=WorkersType(),
    metavar="N|auto",
    default="1",
    envvar="FEATHERGATE_WORKERS",
    show_default=True,
    show_envvar=True,
    help="How many processes serve; auto is one for each core.",
)
@click.option(
    "--no-auth",
    is_flag=True,
    help="Listen on an address that others can reach although there is no master key. One that is set still counts.",
)
@click.option(
    "--watch",
    "watches",
    is_flag=True,
    help="Read the configuration anew when its file or .env changes, within two seconds.",
)
@click.option("--debug", is_flag=True, help="Log more.")
def serve(
    file: str | None,
    bind: Address,
    host: str | None,
    port: int | None,
    workers: int,
    no_auth: bool,
    watches: bool,
    debug: bool,
) -> None:
    """Serve OpenAI's API.

    SIGTERM and SIGINT let requests under way finish, for as long as server_settings.drain_timeout_s says; a
    second one ends at once. SIGHUP reads the configuration anew; one that is wrong leaves the old one in use. With
    --workers above 1, SIGUSR2 replaces one worker after the other, and nobody is refused meanwhile.
    """
    _hold_standard_streams()
    address = Address(bind.host if host is None else host, bind.port if port is None else port)
    configure_logging(debug=debug)
    try:
        config = read_configuration(file)
        sock = _listen(address, config, no_auth)
        for notice in config.notices:
            _log.log(_LEVELS[notice.level], "%s", notice)
        exit_code = _run(config, sock, address, workers, partial(_read_again, address, no_auth), watches)
    except ConfigError as error:
        raise RefusedError(_NOTHING_STARTED + render_config_error(error)) from None
    sys.exit(exit_code)


def _listen(address: Address, config: Config, no_auth: bool) -> socket.socket:
    try:
        if _is_exposed(address, config, no_auth):
            raise RefusedError(_refuse_exposure(address))
        return open_socket(address)
    except OSError as error:
        raise FailedError(explain_failure(address, error)) from None


def _is_exposed(address: Address, config: Config, no_auth: bool) -> bool:
    return not (no_auth or config.general.master_key or is_loopback(address))


def _read_again(address: Address, no_auth: bool, config: Config) -> Config:
    """For a reload: what is not safe to start with is not safe to go on with."""
    fresh = read_again(config)
    if _is_exposed(address, fresh, no_auth):
        what = f"the master key is gone, and others can reach {address}"
        raise ConfigError([Problem(what, "give the gateway one, or start it with --no-auth", fresh.path)])
    return fresh


def _refuse_exposure(address: Address) -> str:
    return (
        f"refusing to listen on {address}, which others can reach, without a master key\n"
        '  fix:  export FEATHERGATE_MASTER_KEY="sk-$(openssl rand -hex 32)"\n'
        f"  or:   feathergate serve --bind {address} --no-auth"
    )


def _run(
    config: Config,
    sock: socket.socket,
    address: Address,
    workers: int,
    read: Callable[[Config], Config],
    watches: bool,
) -> int:
    from feathergate.server.process import Surroundings, run_worker
    from feathergate.server.reload import Reloading
    from feathergate.server.watch import Watch

    on_ready = partial(_announce, config, address._replace(port=sock.getsockname()[1]), workers)
    reloading = Reloading(read, _tell_reload)
    watch = Watch(list_files(config)) if watches else None
    if workers == 1:
        signal.signal(signal.SIGUSR2, _explain_no_roll)
        run_worker(config, sock, on_ready, Surroundings(reloading=reloading, watch=watch))
        return ExitCode.DONE
    from tempfile import TemporaryDirectory

    from feathergate.routing.board import Board
    from feathergate.server.configured import Configured
    from feathergate.server.workers import Hooks, run_workers

    configured = Configured(config, reloading)
    hooks = Hooks(on_ready, sock.close, configured.reload, watch.has_changed if watch else None)

    try:
        folder = TemporaryDirectory(prefix="feathergate-metrics-", ignore_cleanup_errors=True)
    except OSError as error:
        raise FailedError(f"the workers find no folder to share ({error.strerror}): set TMPDIR to one") from None
    with sock, folder as metrics_folder:
        return run_workers(workers, partial(_live, configured, reloading, Board(), sock), hooks, metrics_folder)


def _explain_no_roll(*_: object) -> None:
    _log.warning("SIGUSR2 is not heeded: one worker has none to take its place; start with --workers 2 or more")


def _live(configured: Configured, reloading: Reloading, board: Board, sock: socket.socket, cradle: Cradle) -> int:
    """One worker of many, in a process of its own: the supervisor alone hears signals to stop, and hands them on."""
    from feathergate.server.process import Surroundings, run_worker
    from feathergate.server.workers import WORKER_STOP_SIGNAL

    around = Surroundings(
        stop_signals=(WORKER_STOP_SIGNAL,),
        lifeline=cradle.lifeline,
        share=cradle.share,
        board=board,
        reloading=reloading._replace(ask_supervisor=cradle.ask_reload),
    )
    try:
        run_worker(configured.config, sock, cradle.on_ready, around)
    except ConfigError as error:
        click.echo(_NOTHING_STARTED + render_config_error(error), err=True)
        return ExitCode.REFUSED
    return ExitCode.DONE


def _announce(config: Config, address: Address, workers: int) -> None:
    """Say that all is ready: to a person, or to a program."""
    from feathergate.cli.banner import build_started, render_banner, render_json

    started = build_started(config, address, workers, round((time.monotonic() - BEGAN) * 1000))
    if os.isatty(_STDOUT):
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        text = render_banner(started, color=not plain)
    else:
        text = render_json(started)
    try:
        os.write(_STDOUT, f"{text}\n".encode("utf-8", "backslashreplace"))
    except OSError:  # nobody reads stdout, which is no reason not to serve
        return


def _tell_reload(reload: Reload) -> None:
    """Say what became of a reload to a program that reads; a person has the log."""
    from feathergate.cli.banner import build_reloaded, render_json

    if not os.isatty(_STDOUT):
        write_at_once(_STDOUT, f"{render_json(build_reloaded(reload))}\n".encode("utf-8", "backslashreplace"))


def _hold_standard_streams() -> None:
    """Where a caller has closed stdin, stdout or stderr, put the null device there before a socket gets its number."""
    while (held := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(held, True)
    os.close(held)
