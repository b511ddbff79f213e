"""Who stands between the load and the upstream: the gateway, and nginx doing nothing but `proxy_pass`."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.process import find_port, gateway_command, running, wait_for_health

_PROVIDERS = {"openai": "/v1", "anthropic": "", "gemini": ""}

_NGINX = """\
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  client_max_body_size 64m;
  client_body_buffer_size 2m;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream provider {
    server 127.0.0.1:UPSTREAM;
    keepalive 512;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location = /health { return 200; }
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
"""


class Proxy(NamedTuple):
    """A process to load and to measure."""

    pid: int
    port: int


def find_nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def running_gateway(upstream_port: int) -> Iterator[Proxy]:
    """With the settings that a user would have: the access log (to a file) and the metrics are on."""
    port = find_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "feathergate.yaml"
        config.write_text(json.dumps(build_config(upstream_port)))
        with (folder / "access.log").open("wb") as log:
            command = gateway_command(port, "--config", str(config))
            with running(command, folder, output=log.fileno()) as gateway:
                wait_for_health(gateway, port)
                yield Proxy(gateway.pid, port)


def build_config(upstream_port: int) -> dict[str, object]:
    """One model a provider, called after it. JSON is YAML."""
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"{name}/bench-model",
                    "api_key": "sk-bench",
                    "api_base": f"http://127.0.0.1:{upstream_port}{base}",
                },
            }
            for name, base in _PROVIDERS.items()
        ]
    }


@contextmanager
def running_nginx(nginx: str, upstream_port: int) -> Iterator[Proxy]:
    port = find_port()
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "nginx.conf"
        config.write_text(_NGINX.replace("UPSTREAM", str(upstream_port)).replace("PORT", str(port)))
        command = [nginx, "-p", name, "-c", str(config), "-e", "stderr"]
        with running(command, Path(name)) as process:
            wait_for_health(process, port)
            yield Proxy(process.pid, port)
