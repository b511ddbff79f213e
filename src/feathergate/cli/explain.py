"""`feathergate explain`: what a request would become upstream, said instead of sent.

It goes the gateway's own way up to the point of sending: the same reading, routing and building, and the same errors.
Nothing is fetched, and nothing is remembered of earlier turns: media named by URL and forgotten signatures stay so.
Every header that carries a credential, or that the configuration adds, shows as `***`; so do members of `extra_body`
that are named like one.
"""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec
from msgspec import Raw

from feathergate.cli.exit_code import EndError, ExitCode, FailedError, RefusedError
from feathergate.cli.group import Group, build_group, render_group
from feathergate.cli.source import read_configuration, render_config_error
from feathergate.config.finding import shown
from feathergate.config.litellm import is_credential
from feathergate.config.schema import Config
from feathergate.config.secret import MASK
from feathergate.deployment import Deployment
from feathergate.dialects.contract import Built
from feathergate.dialects.render import render_error
from feathergate.errors import ConfigError, FeatherGateError
from feathergate.gateway.attempt import Asked, build_attempt
from feathergate.runtime import Runtime
from feathergate.wire.codec import Members, decode_chat, encode, raw

_decode_members = msgspec.json.Decoder(Members).decode


class Explained(msgspec.Struct, frozen=True):
    """One request as it would leave; the shape of `--json`. `url` is a path alone where the built-in mock answers.

    `group` is who else might answer: which deployment is asked, a running gateway decides for each request.
    """

    model_name: str
    provider: str
    model: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: Raw
    dropped: tuple[str, ...]
    strict: bool
    group: Group


class AnsweredError(EndError):
    """The error that the gateway would answer with, on stdout: it is what was asked for."""

    exit_code = ExitCode.FAILED

    def show(self, file: object = None) -> None:
        click.echo(self.message)


@click.command()
@click.argument("request", required=False, metavar="[REQUEST.json]")
@click.option("--model", "-m", metavar="NAME", help="Ask for this model in place of the request's own.")
@click.option(
    "--config",
    "-c",
    "file",
    metavar="FILE",
    envvar=["FEATHERGATE_CONFIG", "CONFIG_FILE_PATH"],
    show_envvar=True,
    help="The configuration. Without it feathergate.yaml or config.yaml in this folder, else the environment's keys.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(request: str | None, model: str | None, file: str | None, as_json: bool) -> None:
    """Show what a chat request would become upstream, without sending anything.

    REQUEST.json is the body of a POST to /v1/chat/completions; `-`, or nothing where stdin is no terminal, reads it
    from there. Shown are a deployment that would be asked, who else might answer, the method, URL, headers (keys
    hidden) and body of the upstream request, and what was dropped. A request that the gateway would refuse shows that
    error, and exits with 1.

    Example: feathergate explain request.json --model claude --config config.yaml
    """
    body = _read_body(request)
    try:
        explained = explain_request(_compile(read_configuration(file)), body, model)
    except ConfigError as error:
        raise RefusedError(render_config_error(error)) from None
    except FeatherGateError as error:
        raise AnsweredError(render_refusal(error, as_json=as_json)) from None
    click.echo(encode(explained).decode() if as_json else render_text(explained))


def explain_request(runtime: Runtime, body: bytes, model: str | None = None) -> Explained:
    """Raises `FeatherGateError` where the gateway would answer with it."""
    request, members = decode_chat(body if model is None else put_model(body, model))
    deployment = runtime.find_deployment(request.model)
    asked = Asked(request, members, request_id="explain", created=0, deadline=0.0, size_bytes=len(body))
    built = build_attempt(deployment, asked)
    upstream = deployment.build_upstream(built, stream=asked.stream)
    return Explained(
        model_name=deployment.model_name,
        provider=deployment.provider.name,
        model=deployment.model,
        method=upstream.method.decode(),
        url=deployment.address + upstream.target.decode(),
        headers=_hide(upstream.headers, deployment),
        body=_hide_members(built, deployment),
        dropped=built.dropped,
        strict=deployment.target.strict,
        group=build_group(runtime.config, deployment.model_name, request.model),
    )


def put_model(body: bytes, model: str) -> bytes:
    """The body with another model's name; what is wrong with it is left for its reader to say."""
    try:
        members = _decode_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if "model" in members:
        decode_chat(body)  # two members of one name would be one from here on
    return encode({**members, "model": model})


def render_text(explained: Explained) -> str:
    """For people: the deployment, the request as HTTP has it, and what is not in it."""
    return "\n".join(
        (
            f"{shown(explained.model_name)} -> {explained.provider}/{shown(explained.model)}",
            "",
            *_render_others(explained.group),
            f"{explained.method} {explained.url}",
            *(f"{name}: {value}" for name, value in explained.headers),
            "",
            msgspec.json.format(bytes(explained.body), indent=2).decode(),
            "",
            _render_dropped(explained),
        )
    )


def _render_others(group: Group) -> tuple[str, ...]:
    """The group and its fallbacks, where the deployment that is shown is not all there is."""
    alone = len(group.deployments) == 1 and not (
        group.fallbacks or group.context_window_fallbacks or group.content_policy_fallbacks
    )
    return () if alone else (render_group(group), "")


def _render_dropped(explained: Explained) -> str:
    if explained.strict:
        return "dropped: nothing, the translation is strict: what has no equivalent upstream is refused"
    if not explained.dropped:
        return "dropped: nothing"
    return f"dropped: {', '.join(explained.dropped)} (no equivalent upstream; a strict translation would refuse them)"


def render_refusal(error: FeatherGateError, *, as_json: bool) -> str:
    """The answer's status and body: as one JSON object, or in words."""
    if as_json:
        return encode({"status": error.status, **_decode_members(render_error(error))}).decode()
    details = {"param": error.param, "code": error.code}
    said = "".join(f"\n{name}: {_escape(value)}" for name, value in details.items() if value is not None)
    return f"{error.status}: {_escape(error.message)}{said}"


def _escape(text: str) -> str:
    """A text that may repeat the request's, without what would move a terminal's cursor."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _hide(block: bytes, deployment: Deployment) -> tuple[tuple[str, str], ...]:
    lines = (line.partition(": ") for line in block.decode("latin-1").split("\r\n") if line)
    return tuple((name, MASK if name in deployment.secret_headers else value) for name, _, value in lines)


def _hide_members(built: Built, deployment: Deployment) -> Raw:
    """The body, without what `extra_body` may hold of credentials; the very bytes where it holds none."""
    secret = [name for name in deployment.overrides if is_credential(name)]
    if not secret:
        return Raw(built.body)
    members = _decode_members(built.body)
    return raw({**members, **{name: MASK for name in secret if name in members}})


def _compile(config: Config) -> Runtime:
    from feathergate.server.process import build_runtime

    loop = asyncio.new_event_loop()
    try:
        return build_runtime(config, loop)
    finally:
        loop.close()


def _read_body(request: str | None) -> bytes:
    if (sys.stdin is None and request in (None, "-")) or (request is None and sys.stdin.isatty()):
        raise click.UsageError("no request: give a file, or write it to stdin")
    try:
        with click.open_file(request or "-", "rb") as opened:
            data: bytes = opened.read()
    except OSError as error:
        raise FailedError(f"{request}: the request cannot be read: {error.strerror}") from None
    return data
