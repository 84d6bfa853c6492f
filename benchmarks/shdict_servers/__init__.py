"""The two servers whose shared dictionaries are measured: nginx + ngx_lua, and pygw.

Each has two worker processes, which the same Lua file (loop.lua) keeps busy; each on a core.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOOP = Path(__file__).with_name("loop.lua")
PATIENCE = 60.0  # seconds

NGINX_CONF = """
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off; worker_processes 2; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{ }}
http {{
    access_log off; keepalive_timeout 1h;
    lua_shared_dict measured 10m;
    lua_shared_dict control 64k;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    init_worker_by_lua_block {{ answer = dofile("{loop}") }}
    server {{ listen 127.0.0.1:{port}; location / {{ content_by_lua_block {{ answer() }} }} }}
}}
"""

CONFIG_YAML = """
apisix: {{node_listen: [{{ip: 127.0.0.1, port: {port}}}]}}
nginx_config:
  worker_processes: 2
  http:
    keepalive_timeout: 1h
    custom_lua_shared_dict: {{measured: 10m, control: 64k}}
pygw: {{pid: {directory}/pygw.pid}}
"""

APP = """
local answer
return {{
    init_worker = function() answer = dofile("{loop}") end,
    content = function() return answer() end,
}}
"""


@dataclass
class Figures:
    """What one process did: operations, and the seconds and CPU seconds that they took."""

    operations: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.operations / self.seconds


class Server:
    """A server with two workers; a connection to each."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self._port = name, port
        self._workers: dict[int, http.client.HTTPConnection] = {}

    def connect(self) -> None:
        """Get a connection to each worker, and put each worker on a core of its own."""
        others: list[http.client.HTTPConnection] = []
        while len(self._workers) < 2:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            pid = int(_ask(connection, "/pid"))
            if pid in self._workers:
                others.append(connection)
            else:
                os.sched_setaffinity(pid, {len(self._workers)})
                self._workers[pid] = connection
        for connection in others:
            connection.close()

    def measure(self, operation: str, processes: int, seconds: float) -> list[Figures]:
        """Run an operation in one or two workers at the same time."""
        found: list[Figures] = []
        uri = f"/run?op={operation}&seconds={seconds}&of={processes}"

        def run(connection: http.client.HTTPConnection) -> None:
            operations, wall, cpu = _ask(connection, uri).split()
            found.append(Figures(int(operations), float(wall), float(cpu)))

        chosen = list(self._workers.values())[:processes]
        threads = [threading.Thread(target=run, args=(each,)) for each in chosen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == processes, f"{self.name} failed"
        return found


def _ask(connection: http.client.HTTPConnection, uri: str) -> str:
    connection.request("GET", uri)
    answer = connection.getresponse()
    body = answer.read().decode()
    assert answer.status == 200, f"{uri}: {answer.status} {body}"
    return body


@contextlib.contextmanager
def _running(name: str, command: list[str], port: int) -> Iterator[Server]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await_port(port, process)
        server = Server(name, port)
        server.connect()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def start_nginx(directory: Path) -> contextlib.AbstractContextManager[Server]:
    """Run nginx + ngx_lua."""
    port, path = _free_port(), directory / "nginx.conf"
    path.write_text(NGINX_CONF.format(directory=directory, port=port, loop=LOOP))
    return _running("nginx", ["/usr/sbin/nginx", "-c", str(path)], port)


def start_pygw(directory: Path) -> contextlib.AbstractContextManager[Server]:
    """Run pygw."""
    port, config, app = _free_port(), directory / "config.yaml", directory / "app.lua"
    config.write_text(CONFIG_YAML.format(directory=directory, port=port))
    app.write_text(APP.format(loop=LOOP))
    command = [sys.executable, "-m", "pygw", "run", "-c", str(config), "--app", str(app)]
    return _running("pygw", command, port)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")
