"""nginx in two parts: a proxy that does nothing but `proxy_pass`, and a provider whose whole answers are canned.

As a provider it answers before it has read a long body, which no provider does: long prompts and streams are for
`upstream.py`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.answer import ANSWERS
from bench.process import Served, find_port, running, wait_for_health

_CONFIG = """\
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
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location = /health { return 200; }
LOCATIONS
  }
UPSTREAM
}
"""

_PASS = """\
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }"""

_UPSTREAM = """\
  upstream provider {
    server 127.0.0.1:%d;
    keepalive 512;
    keepalive_requests 100000000;
  }"""

_ANSWER = """\
    location %s {
      default_type application/json;
      return 200 '%s';
    }"""
_LOCATIONS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "gemini": "/"}


def find_nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def running_pass(nginx: str, upstream_port: int) -> Iterator[Served]:
    """The proxy."""
    with _running(nginx, _PASS, _UPSTREAM % upstream_port) as served:
        yield served


@contextmanager
def running_canned(nginx: str) -> Iterator[Served]:
    """The provider."""
    answers = [_ANSWER % (where, ANSWERS[provider].whole.decode()) for provider, where in _LOCATIONS.items()]
    with _running(nginx, "\n".join(answers), "") as served:
        yield served


@contextmanager
def _running(nginx: str, locations: str, upstream: str) -> Iterator[Served]:
    port = find_port()
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "nginx.conf"
        text = _CONFIG.replace("PORT", str(port)).replace("LOCATIONS", locations).replace("UPSTREAM", upstream)
        config.write_text(text)
        with running([nginx, "-p", name, "-c", str(config), "-e", "stderr"], Path(name)) as process:
            wait_for_health(process, port)
            yield Served(process.pid, port)
