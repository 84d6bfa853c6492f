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
from collections.abc import Callable, Iterator, Mapping
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
error_log stderr info;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{}}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    client_body_buffer_size 1m;
    lua_http10_buffering off;
    upstream peers {{
        server 0.0.0.1;
        balancer_by_lua_block {{ {balancer} }}
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        server_tokens off;
        {locations}
    }}
}}
"""

PROXY = """
    proxy_pass http://peers;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
"""

# Runs what the case of a request's first path segment says, for one phase.
APP = """
local cases = {{ {cases} }}
local function run(phase)
    return function()
        local case = cases[(ngx.var.request_uri:match("^/([^/?]+)"))]
        if case and case[phase] then
            return case[phase]()
        end
    end
end
local app = {{ proxy = {{ set_header = {{ {{ "Host", "$http_host" }} }} }} }}
for _, phase in ipairs({{ {phases} }}) do
    app[phase] = run(phase)
end
app.balancer = function() {balancer} end
return app
"""

Cases = Mapping[str, Mapping[str, str]]


def as_app(cases: Cases, balancer: str = "") -> str:
    """The application that answers /NAME/… by the phases of cases[NAME] (handler bodies)."""
    tables = ""
    for name, phases in cases.items():
        handlers = ", ".join(f"{phase} = function() {code}\nend" for phase, code in phases.items())
        tables += f'["{name}"] = {{ {handlers} }},\n'
    used = {phase for phases in cases.values() for phase in phases}
    quoted = ", ".join(f'"{phase}"' for phase in PHASES if phase in used)
    return APP.format(cases=tables, phases=quoted, balancer=balancer)


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


def _location(name: str, phases: Mapping[str, str]) -> str:
    blocks = [f"{phase}_by_lua_block {{ {code}\n}}" for phase, code in phases.items()]
    if "content" not in phases:
        blocks.append(PROXY)
    return f"location /{name}/ {{ {' '.join(blocks)} }}\n"


@contextlib.contextmanager
def running_nginx(cases: Cases, balancer: str = "ngx.exit(500)") -> Iterator[Nginx]:
    """Run nginx with a location per case; a case without content is proxied to balancer's peer."""

    def config(prefix: str, port: int) -> str:
        locations = "".join(_location(name, phases) for name, phases in cases.items())
        return CONFIG.format(
            prefix=prefix, modules=MODULES, port=port, locations=locations, balancer=balancer
        )

    with configured_nginx(config) as server:
        yield server


@contextlib.contextmanager
def configured_nginx(config: Callable[[str, int], str]) -> Iterator[Nginx]:
    """Run nginx on the text that config(prefix, port) returns; its log goes to stderr."""
    nginx = find_nginx()
    # nginx takes over a socket that listens already, so there is no start to wait for.
    with (
        tempfile.TemporaryDirectory() as prefix,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        path = Path(prefix) / "nginx.conf"
        path.write_text(config(prefix, port), "latin-1")
        process = subprocess.Popen(
            [nginx, "-p", prefix, "-e", "stderr", "-c", str(path)],
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            env={**os.environ, "NGINX": f"{listener.fileno()};", "TZ": "UTC"},
        )
        server = Nginx(port, process)
        try:
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE)
            server.log.join()
