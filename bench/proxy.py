"""Who stands between the load and the upstream: the gateway, as its users run it, and nginx to compare it with."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.ask import Ask, render_chat, render_native
from bench.nginx import running_pass
from bench.process import Served, find_port, gateway_command, running, wait_for_health

GATEWAY, NGINX = "FeatherGate", "nginx"
# What leads to each provider, and a model of it that people use: known families have rules that others have not.
_MODELS = {
    "openai": ("gpt-4.1-mini", "/v1"),
    "anthropic": ("claude-sonnet-4-6", ""),
    "gemini": ("gemini-2.5-flash", ""),
}


class Proxy(NamedTuple):
    """What is loaded and measured; `render(provider, stream, prompt)` says what it is to be asked."""

    name: str
    served: Served
    render: Callable[[str, bool, str], Ask]


@contextmanager
def running_gateway(upstream_port: int, *options: str) -> Iterator[Proxy]:
    """With the settings that a user would have: the access log (to a file) and the metrics are on."""
    port = find_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "feathergate.yaml"
        config.write_text(json.dumps(build_config(upstream_port)))
        with (folder / "access.log").open("wb") as log:
            command = gateway_command(port, "--config", str(config), *options)
            with running(command, folder, output=log.fileno()) as gateway:
                wait_for_health(gateway, port)
                yield Proxy(GATEWAY, Served(gateway.pid, port), render_chat)


def build_config(upstream_port: int) -> dict[str, object]:
    """One model a provider, called after it. JSON is YAML."""
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"{name}/{model}",
                    "api_key": "sk-bench",
                    "api_base": f"http://127.0.0.1:{upstream_port}{base}",
                },
            }
            for name, (model, base) in _MODELS.items()
        ]
    }


@contextmanager
def running_nginx(nginx: str, upstream_port: int) -> Iterator[Proxy]:
    with running_pass(nginx, upstream_port) as served:
        yield Proxy(NGINX, served, render_native)
