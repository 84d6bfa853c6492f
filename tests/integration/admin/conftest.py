"""A whole gateway, `pygw run` in a directory of its own, administered over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.etcd_server import EtcdServer, running

PATIENCE = 30.0  # seconds before a test gives up on an event
ADMIN_KEY, VIEWER_KEY = "integration-admin-key", "integration-viewer-key"
PLUGINS = Path(__file__).with_name("plugins")


@dataclass
class Reply:
    """A response; `json` is its body, read."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Reply:
    """One request on a connection of its own; a body that is not bytes is sent as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())


class Gateway:
    """A running gateway."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process, self.directory = process, directory
        found = _wait_for(process, r"listening on \S+:(\d+), admin \S+?:(\d+)")
        self.port, self.admin_port = int(found[1]), int(found[2])

    def admin(self, method: str, path: str, body: Any = None, key: str | None = ADMIN_KEY) -> Reply:
        """One request below /apisix/admin/."""
        headers = {"X-API-KEY": key} if key else {}
        return self.ask_admin(path, headers, method, body)

    def ask_admin(
        self, path: str, headers: dict[str, str], method: str = "GET", body: Any = None
    ) -> Reply:
        """The same with headers of one's own, and no key."""
        return request(self.admin_port, method, f"/apisix/admin/{path}", body, headers)

    def get(self, path: str, **headers: str) -> Reply:
        """GET through the gateway."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(self.port, "GET", path, headers=named)

    def until(self, path: str, status: int, **headers: str) -> Reply:
        """Ask until the gateway answers with this status."""
        deadline = time.monotonic() + PATIENCE
        while (reply := self.get(path, **headers)).status != status:
            assert time.monotonic() < deadline, f"{path}: {reply.status}, not {status}"
        return reply

    def log(self) -> str:
        """The error log as it stands."""
        return (self.directory / "error.log").read_text()

    def admin_pid(self) -> int:
        """The process of the Admin API."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return next(
            int(child)
            for child in children
            if b"pygw.admin" in Path(f"/proc/{child}/cmdline").read_bytes()
        )

    def stop(self) -> int:
        """TERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def _wait_for(process: subprocess.Popen[bytes], pattern: str) -> re.Match[str]:
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    line = process.stdout.readline().decode() if ready else ""
    match = re.search(pattern, line)
    if match is None:
        process.kill()
        pytest.fail(f"the gateway did not start: {line!r}\n{process.communicate()[1].decode()}")
    return match


StartGateway = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """Start a gateway: start(deployment={…}, config_changes={top level of config.yaml}).

    directory: of one that was stopped, to start it again.
    """
    yield from _starter(tmp_path_factory)


@pytest.fixture(scope="module")
def module_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """The same, for as long as the module's tests run."""
    yield from _starter(tmp_path_factory)


def _starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    running_ones: list[Gateway] = []

    def run(
        deployment: dict[str, Any] | None = None,
        config_changes: dict[str, Any] | None = None,
        directory: Path | None = None,
        **environment: str,
    ) -> Gateway:
        directory = directory or tmp_path_factory.mktemp("gateway")
        admin = {
            "admin_listen": {"ip": "127.0.0.1", "port": 0},
            "admin_key": [
                {"name": "admin", "key": ADMIN_KEY, "role": "admin"},
                {"name": "viewer", "key": VIEWER_KEY, "role": "viewer"},
            ],
        }
        config = {
            "apisix": {"node_listen": [{"ip": "127.0.0.1", "port": 0}]},
            "nginx_config": {"worker_processes": 2, "error_log": "error.log"},
            "plugins": ["t-stamp", "t-key"],
            "pygw": {
                "plugin_dirs": [str(PLUGINS)],
                "python_plugins": [str(PLUGINS / "t_hello.py")],
            },
            "deployment": {"admin": admin, **(deployment or {})},
            **(config_changes or {}),
        }
        (directory / "config.yaml").write_text(yaml.safe_dump(config))
        process = subprocess.Popen(
            [sys.executable, "-m", "pygw", "run", "-c", "config.yaml"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        running_ones.append(Gateway(process, directory))
        return running_ones[-1]

    yield run
    for gateway in running_ones:
        if gateway.process.poll() is None:
            gateway.stop()
        gateway.process.communicate()


@pytest.fixture(scope="module")
def gateway(module_start: StartGateway) -> Gateway:
    """A gateway on the embedded store."""
    return module_start()


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with running(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture(scope="module")
def upstream() -> Iterator[dict[str, Any]]:
    """An upstream that answers 200 with the path and the X-Stamp that it got; given as JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps([self.path, self.headers["X-Stamp"]]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {"type": "roundrobin", "nodes": {f"127.0.0.1:{server.server_port}": 1}}
    server.shutdown()
    server.server_close()
    thread.join()
