"""A real nginx with ngx_lua that runs the phases of an application, to compare answers with.

Phases are given as Lua text, the body of the handler; `as_app` makes an application of the same.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.app_server import PATIENCE, Log
from support.http import Client

MODULES = Path("/usr/lib/nginx/modules")
PHASES = ("rewrite", "access", "content", "header_filter", "body_filter", "log")

CONFIG = """
daemon off;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log stderr {level};
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{}}
http {{
    access_log off;
    lua_socket_log_errors on;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    upstream peers {{
        server 0.0.0.1;
        balancer_by_lua_block {{ {balancer} }}
        keepalive 16;
    }}
    {http}
    server {{
        listen 127.0.0.1:{port};
        server_tokens off;
        {server}
        location / {{
            {phases}
            {location}
        }}
    }}
}}
"""


def as_app(phases: Mapping[str, str]) -> str:
    """The application whose handlers have these bodies."""
    handlers = ", ".join(f"{name} = function() {code}\nend" for name, code in phases.items())
    return f"return {{ {handlers} }}"


class Nginx:
    """An nginx that serves; `log` is its error log."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.log = Log(process.stderr)

    def connect(self) -> Client:
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(plain)


def find_nginx() -> str:
    """The path of an nginx with ngx_lua; skips the test when there is none."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not nginx:
        pytest.skip("no nginx to compare with: install Debian's package nginx")
    if not (MODULES / "ngx_http_lua_module.so").exists():
        pytest.skip("nginx has no ngx_lua: install Debian's package libnginx-mod-http-lua")
    return nginx


@contextlib.contextmanager
def running_nginx(
    phases: Mapping[str, str],
    *,
    level: str = "info",
    http: str = "",
    server: str = "",
    location: str = "",
) -> Iterator[Nginx]:
    """Run nginx; phases: bodies of rewrite, access, content, …; "balancer" proxies by its peer.

    http, server, location: further directives.
    """
    nginx = find_nginx()
    blocks = [
        f"{name}_by_lua_block {{ {code}\n}}" for name, code in phases.items() if name in PHASES
    ]
    if "content" not in phases and "balancer" in phases:
        blocks.append(
            'proxy_pass http://peers; proxy_http_version 1.1; proxy_set_header Connection "";'
        )
    # nginx takes over a socket that listens already, so there is no start to wait for.
    with (
        tempfile.TemporaryDirectory() as prefix,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        config = Path(prefix) / "nginx.conf"
        text = CONFIG.format(
            prefix=prefix,
            modules=MODULES,
            port=port,
            level=level,
            http=http,
            server=server,
            location=location,
            phases="\n".join(blocks),
            balancer=phases.get("balancer", "ngx.exit(500)"),
        )
        config.write_text(text, "latin-1")
        process = subprocess.Popen(
            [nginx, "-p", prefix, "-e", "stderr", "-c", str(config)],
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            env={**os.environ, "NGINX": f"{listener.fileno()};", "TZ": "UTC"},
        )
        server_ = Nginx(port, process)
        try:
            yield server_
        finally:
            process.terminate()
            process.wait(PATIENCE)
            server_.log.join()
