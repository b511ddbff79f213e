"""haproxy and nginx before a gateway, each as trusting of its clients as its settings allow, on a free port.

Both keep their connections to the gateway and share them among clients, so that a smuggled request would meet
another client's. Neither lets `/smuggled` pass: where the gateway sees it, it came within another request. haproxy
holds small chunks back for 200 ms unless it is told not to.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bench.process import find_port

SERVER_TIMEOUT_S = 2
_START_S = 10.0

_HAPROXY = """\
global
  maxconn 500
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server {server_timeout_s}s
  timeout http-request 5s
frontend front
  bind 127.0.0.1:{port}
  option accept-invalid-http-request
  option http-no-delay
  http-request deny if {{ path_beg /smuggled }}
  default_backend gateway
backend gateway
  http-reuse always
  option accept-invalid-http-response
  server gateway 127.0.0.1:{gateway_port} pool-max-conn 4
"""

_NGINX = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream gateway {{ server 127.0.0.1:{gateway_port}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    ignore_invalid_headers off;
    underscores_in_headers on;
    merge_slashes off;
    location /smuggled {{ return 403; }}
    location / {{
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_read_timeout {server_timeout_s}s;
    }}
  }}
}}
"""


def _start_haproxy(program: str, file: str, folder: str) -> list[str]:
    return [program, "-db", "-f", file]


def _start_nginx(program: str, file: str, folder: str) -> list[str]:
    return [program, "-p", folder, "-c", file, "-e", "stderr"]


FRONTS: dict[str, tuple[str, Callable[[str, str, str], list[str]]]] = {
    "haproxy": (_HAPROXY, _start_haproxy),
    "nginx": (_NGINX, _start_nginx),
}


def find_program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


@asynccontextmanager
async def running_front(name: str, program: str, gateway_port: int) -> AsyncIterator[int]:
    """The port of `FRONTS[name]`, which passes everything to `gateway_port`."""
    text, start = FRONTS[name]
    port = find_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "front.conf"
        file.write_text(text.format(port=port, gateway_port=gateway_port, server_timeout_s=SERVER_TIMEOUT_S))
        process = await asyncio.create_subprocess_exec(
            *start(program, str(file), folder), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await _wait_for(port)
            yield port
        finally:
            process.terminate()
            await process.wait()


async def _wait_for(port: int) -> None:
    async with asyncio.timeout(_START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return
