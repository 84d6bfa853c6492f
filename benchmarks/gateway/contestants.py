"""The gateways that are measured and the upstream behind them: how each is configured, started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).parent
_NGINX = "/usr/sbin/nginx"
_LUA_MODULES = (
    "load_module /usr/lib/nginx/modules/ndk_http_module.so;\n"
    "load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;\n"
)
_LUA_PHASES = """
            rewrite_by_lua_block { local bench = ngx.req.get_headers()["x-bench"] }
            access_by_lua_block { ngx.req.set_header("X-Gateway", "bench") }
            header_filter_by_lua_block { ngx.header["X-Served-By"] = "bench" }
"""
_NGINX_CONF = """
{modules}
daemon off; worker_processes 1; pid {directory}/{name}.pid; error_log {directory}/{name}.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    {http}
    server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}
}}
"""
_PROXY_HTTP = (
    "upstream backend {{ server 127.0.0.1:{upstream}; keepalive 320;"
    " keepalive_requests 100000000; }}"
)
_PROXY_LOCATION = (
    'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";'
)


class Contestant(Protocol):
    """A gateway under load."""

    name: str
    port: int
    pid: int

    def start(self, directory: Path, upstream: int) -> None:
        """Start it on core 0 and return when it answers."""

    def stop(self) -> None:
        """End it."""


class _Process:
    name = ""

    def __init__(self) -> None:
        self.port = free_port()
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    def _spawn(self, command: list[str], core: int = 0) -> None:
        self._process = subprocess.Popen(["taskset", "-c", str(core), *command])
        _await_port(self.port, self._process)
        self.pid = _first_child(self._process.pid)

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()


class Nginx(_Process):
    """nginx with proxy_pass; with the three things in Lua when `lua`."""

    def __init__(self, name: str, *, lua: bool) -> None:
        super().__init__()
        self.name, self._lua = name, lua

    def start(self, directory: Path, upstream: int) -> None:
        """Write nginx.conf and start it."""
        text = _NGINX_CONF.format(
            modules=_LUA_MODULES if self._lua else "", directory=directory,
            name=f"nginx-{self.port}", http=_PROXY_HTTP.format(upstream=upstream), port=self.port,
            location=(_LUA_PHASES if self._lua else "") + _PROXY_LOCATION,
        )  # fmt: skip
        path = directory / f"nginx-{self.port}.conf"
        path.write_text(text, encoding="ascii")
        self._spawn([_NGINX, "-c", str(path)])


class Pygw(_Process):
    """pygw: its ngx runtime with an application of three phases, or the gateway with a plugin."""

    def __init__(self, name: str, *, gateway: bool) -> None:
        super().__init__()
        self.name, self._gateway = name, gateway

    def start(self, directory: Path, upstream: int) -> None:
        """Write config.yaml (and apisix.yaml) and start it."""
        home = directory / f"pygw-{self.port}"
        home.mkdir()
        config = (HERE / "config.yaml").read_text(encoding="utf-8")
        config = config.replace("@PORT@", str(self.port)).replace("@PLUGINS@", str(HERE))
        (home / "config.yaml").write_text(config, encoding="utf-8")
        routes = (HERE / "apisix.yaml").read_text(encoding="utf-8")
        (home / "apisix.yaml").write_text(
            routes.replace("@UPSTREAM@", str(upstream)), encoding="utf-8"
        )
        os.environ["PYGW_BENCH_UPSTREAM"] = str(upstream)
        pygw = str(Path(sys.executable).with_name("pygw"))
        command = [pygw, "run", "-c", str(home / "config.yaml")]
        if not self._gateway:
            command += ["--app", str(HERE / "three_phases.lua")]
        self._spawn(command)


def contestants() -> list[Contestant]:
    """Fresh contestants, in the order of the table."""
    return [
        Nginx("nginx proxy_pass", lua=False),
        Nginx("nginx + ngx_lua", lua=True),
        Pygw("pygw, three phases", gateway=False),
        Pygw("pygw, gateway with a Lua plugin", gateway=True),
    ]


@contextlib.contextmanager
def start_upstream(directory: Path) -> Iterator[int]:
    """Run an upstream on core 1 that answers everything with a small response; gives its port."""
    upstream = Nginx("upstream", lua=False)
    text = _NGINX_CONF.format(
        modules="", directory=directory, name="upstream", http="", port=upstream.port,
        location='return 200 "a small response from the upstream\\n";',
    )  # fmt: skip
    path = directory / "upstream.conf"
    path.write_text(text, encoding="ascii")
    upstream._spawn([_NGINX, "-c", str(path)], core=1)
    try:
        yield upstream.port
    finally:
        upstream.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port} after 20 s")


def _first_child(parent: int) -> int:
    """The worker process of a master, which starts it before any agent."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    if not children:
        raise RuntimeError(f"process {parent} has no worker")
    return int(children[0])
