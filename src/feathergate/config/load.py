"""The way in: a file, or the environment alone, into a `Config`; or a `ConfigError` with every problem at once.

The variables are those of the process, passed in, over those of a `.env` file beside the configuration. Values of
keys that have no effect are not looked at, so what only they need may be missing. `include` is not followed yet.
PyYAML and the checks are imported only when there is a file.
Source: issue "The gateway serves…", Configuration; reliability.md P05, S28, S32.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from feathergate.errors import ConfigError, Problem

from .environment import KEY_VARIABLES, MASTER_KEY_VARIABLES, KnownProvider, parse_dotenv, read_key
from .schema import Config, GeneralSettings, LitellmParams, ModelEntry, Notice, ServerSettings

if TYPE_CHECKING:
    from .naming import Names
    from .section import Reader

FILE_NAMES = ("feathergate.yaml", "feathergate.yml", "config.yaml", "config.yml")
FILE_LIMIT_BYTES = 4 * 1024 * 1024
MASTER_KEY_LENGTH = 16

_UNREADABLE: dict[type[Exception], tuple[str, str]] = {
    FileNotFoundError: ("there is no such file", "give the path of a file, or run without one"),
    PermissionError: ("the file may not be read", "give the gateway's user the right to read it"),
    IsADirectoryError: ("this is a folder", "give the path of a file in it"),
}


class NoCapability(msgspec.Struct):
    """Nothing that a model can or cannot do: with it, every key of `model_info.capability` is refused."""


def find_file(folder: str = ".") -> str | None:
    """The path of the configuration that lies in `folder`, or None."""
    paths = (os.path.join(folder, name) for name in FILE_NAMES)
    return next((path for path in paths if os.path.isfile(path)), None)


def load(
    path: str | os.PathLike[str],
    environ: Mapping[str, str],
    *,
    known_providers: Mapping[str, KnownProvider] | None = None,
    capability: type[msgspec.Struct] = NoCapability,
) -> Config:
    """The configuration in the file at `path`.

    `known_providers`, by name, are what a model's provider is checked against, and their usual variables stand in
    for a key or an address that is not given; with None neither is done. `capability` has the fields that
    `model_info.capability` may give. Raises `ConfigError` with all problems, in the file's order.
    """
    from .document import parse_document
    from .finding import Findings
    from .section import Reader

    file = os.fspath(path)
    document = parse_document(read_source(file), file)
    findings = Findings(file, document)
    reader = Reader(findings, {**_read_dotenv(os.path.dirname(file)), **environ})
    try:
        if document.value is not UNSET:
            config = _read_config(reader, document.value, file, known_providers, capability)
    except ConfigError as error:
        # A key in the environment that cannot be used has no place in the file.
        raise ConfigError((*findings.problems(), *error.problems)) from None
    if findings.problems():
        raise ConfigError(findings.problems())
    return msgspec.structs.replace(config, notices=(*_permission_notices(reader, file), *findings.notices()))


def from_environment(environ: Mapping[str, str], folder: str = ".") -> Config:
    """The configuration without a file: a wildcard for each provider whose key is set, and always `mock/echo`."""
    variables = {**_read_dotenv(folder), **environ}
    general = _complete_general(GeneralSettings(), variables)
    return Config(models=_environment_models(variables), general=general, notices=_master_key_notices(general, ""))


def read_source(file: str) -> str:
    """The text of a configuration file. Raises `ConfigError` where there is none that could be used."""
    try:
        with open(file, "rb") as opened:
            data = opened.read(FILE_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        what, fix = _UNREADABLE.get(type(error), ("the file cannot be read", getattr(error, "strerror", "") or ""))
        raise ConfigError([Problem(what, fix, file)]) from None
    if len(data) > FILE_LIMIT_BYTES:
        raise ConfigError([Problem(f"the file is larger than {FILE_LIMIT_BYTES:,} bytes", "split it", file)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ConfigError([Problem("a byte that is not UTF-8", "save it as UTF-8", file, line, column)]) from None
    return text


def _read_dotenv(folder: str) -> dict[str, str]:
    """The variables of `.env` in `folder`; none where it is not there or not readable."""
    try:
        with open(os.path.join(folder, ".env"), "rb") as opened:
            return parse_dotenv(opened.read(FILE_LIMIT_BYTES).decode("utf-8", "replace"))
    except OSError:
        return {}


def _read_config(
    reader: Reader,
    top: object,
    file: str,
    known_providers: Mapping[str, KnownProvider] | None,
    capability: type[msgspec.Struct],
) -> Config:
    from .model import read_models
    from .naming import Names
    from .routing import read_router
    from .schema import LitellmSettings
    from .section import TOP_KEYS

    if not isinstance(top, dict) or not top:
        what = "the file is empty" if not top else "the file must be a mapping, with model_list at its top"
        reader.findings.refuse((), what, "write model_list and its models, or run without a file")
        return Config(models=())
    top = _use_top_translation(reader, top)
    for key, value in top.items():
        if key not in TOP_KEYS and not key.startswith("x-"):
            reader.judge_key("", (key,), value, TOP_KEYS)
    if "model_list" in top:
        models = read_models(reader, top["model_list"], known_providers, capability)
    else:
        models = _environment_models(reader.environ)
        reader.findings.warn((), "the file has no model_list", "the models are those of the environment")
    general = _complete_general(reader.read_section(GeneralSettings, top, "general_settings"), reader.environ)
    for notice in _master_key_notices(general, file):
        reader.findings.warn(("general_settings", "master_key"), notice.what, notice.fix)
    names = Names(entry.model_name for entry in models)
    return Config(
        models=models,
        general=general,
        litellm=reader.read_section(LitellmSettings, top, "litellm_settings"),
        router=read_router(reader, top, names),
        server=_check_server(reader, reader.read_section(ServerSettings, top, "server_settings"), file, names),
        path=file,
        has_litellm_settings="litellm_settings" in top,
    )


def _use_top_translation(reader: Reader, top: dict[str, Any]) -> dict[str, Any]:
    """`translation` at the top is that of `server_settings`, which wins."""
    server = top.get("server_settings") or {}
    if "translation" not in top or not isinstance(server, dict):
        return top
    rest = {key: value for key, value in top.items() if key != "translation"}
    if server.get("translation") is not None:
        what = "translation has no effect beside server_settings.translation"
        reader.findings.warn(("translation",), what, key=True)
        return rest
    reader.findings.alias(("server_settings", "translation"), ("translation",))
    return {**rest, "server_settings": {**server, "translation": top["translation"]}}


def _environment_models(environ: Mapping[str, str]) -> tuple[ModelEntry, ...]:
    keys = {provider: read_key(environ, variable) for provider, variable in KEY_VARIABLES.items()}
    found = [
        ModelEntry(model_name=f"{provider}/*", params=LitellmParams(model=f"{provider}/*", api_key=key))
        for provider, key in keys.items()
        if key
    ]
    return (*found, ModelEntry(model_name="mock/echo", params=LitellmParams(model="mock/echo")))


def _complete_general(general: GeneralSettings, environ: Mapping[str, str]) -> GeneralSettings:
    """The master key from the environment, where the file gives none."""
    if general.master_key is not None:
        return general
    return msgspec.structs.replace(general, master_key=read_key(environ, *MASTER_KEY_VARIABLES))


def _master_key_notices(general: GeneralSettings, file: str) -> tuple[Notice, ...]:
    if general.master_key is None or len(general.master_key) >= MASTER_KEY_LENGTH:
        return ()
    what = f"the master key is shorter than {MASTER_KEY_LENGTH} characters"
    return (Notice("warning", what, 'make a long one: echo "sk-$(openssl rand -hex 32)"', file),)


def _check_server(reader: Reader, server: ServerSettings, file: str, names: Names) -> ServerSettings:
    """The CA file is there, seen from the configuration's folder; the proxy's address is one; hedged groups are."""
    for group in server.hedge:
        names.judge_group(reader.findings, ("server_settings", "hedge", group), group)
    if server.proxy is not None and not server.proxy.reveal().startswith(("http://", "https://")):
        reader.findings.refuse(
            ("server_settings", "proxy"),
            "server_settings.proxy is not the address of an HTTP proxy",
            "write for example proxy: http://proxy.example:3128",
        )
    if server.ca_file is None:
        return server
    ca_file = os.path.join(os.path.dirname(os.path.abspath(file)), server.ca_file)
    if not os.path.isfile(ca_file):
        reader.findings.refuse(
            ("server_settings", "ca_file"),
            "server_settings.ca_file: there is no such file",
            "a relative path counts from the folder of the configuration file",
        )
    return msgspec.structs.replace(server, ca_file=ca_file)


def _permission_notices(reader: Reader, file: str) -> tuple[Notice, ...]:
    """A file that holds keys and that everyone may read is worth a word."""
    if os.name != "posix" or not reader.has_literal_key:
        return ()
    try:
        readable = os.stat(file).st_mode & stat.S_IROTH
    except OSError:
        return ()
    what = "the file holds keys, and every user of this machine may read it"
    return (Notice("warning", what, "chmod o-r, or move the keys into the environment", file),) if readable else ()
