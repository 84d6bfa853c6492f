"""A whole gateway in processes of its own, with Control API and status."""

from __future__ import annotations

import contextlib
import json
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.etcd_server import EtcdServer, running

PATIENCE = 30.0  # seconds before a test gives up on an event
KEY = "control-tests-admin-key"


@dataclass
class Reply:
    """A response; `json` is its body, read."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    patience: float = PATIENCE,
    **headers: str,
) -> Reply:
    """One request on a connection of its own."""
    data = None if body is None else json.dumps(body)
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=patience)) as connection:
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())


class Gateway:
    """A running gateway: ports of its APIs, 0 for what it has not."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process, self.directory = process, directory
        said = _first_line(process)
        ports = {word: int(port) for word, port in re.findall(r"(\w+)(?: on)? [\d.]+:(\d+)", said)}
        self.port = ports.get("listening", 0)
        self.admin_port = ports.get("admin", 0)
        self.control_port, self.status_port = ports.get("control", 0), ports.get("status", 0)

    def admin(self, method: str, path: str, body: Any = None) -> Reply:
        return ask(self.admin_port, method, f"/apisix/admin/{path}", body, **{"X-API-KEY": KEY})

    def control(self, path: str, method: str = "GET", **headers: str) -> Reply:
        return ask(self.control_port, method, path, **headers)

    def status(self, path: str) -> Reply:
        return ask(self.status_port, "GET", path)

    def get(self, path: str) -> Reply:
        return ask(self.port, "GET", path)


def _first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    assert process.stderr
    text, deadline = b"", time.monotonic() + PATIENCE
    while b"listening" not in text or not text.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        chunk = process.stdout.read1() if ready else b""  # type: ignore[attr-defined]
        if not chunk:
            process.kill()
            pytest.fail(f"it does not serve: {text!r} {process.stderr.read().decode()}")
        text += chunk
    return text.decode()


def ask_until(port: int, path: str, wanted: Callable[[Reply], bool]) -> Reply:
    """Ask until the answer is the wanted one.

    A worker that stands still has connections waiting that no other gets: one is not waited for
    long.
    """
    deadline, reply = time.monotonic() + PATIENCE, None
    while time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            reply = ask(port, "GET", path, patience=3)
            if wanted(reply):
                return reply
    pytest.fail(f"the last answer was {reply}")


StartGateway = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """start(files={name: text}, **sections of config.yaml): a gateway of two workers."""
    yield from _starter(tmp_path_factory)


@pytest.fixture(scope="module")
def module_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """The same for a whole module."""
    yield from _starter(tmp_path_factory)


def _starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    gateways: list[Gateway] = []

    def run(files: dict[str, str] | None = None, **changes: Any) -> Gateway:
        directory = tmp_path_factory.mktemp("gateway")
        local = {"ip": "127.0.0.1", "port": 0}
        apisix = {"node_listen": [local], "control": local, "status": local}
        admin = {"admin_listen": local, "admin_key": [{"name": "a", "key": KEY, "role": "admin"}]}
        deployment = {"admin": admin, **changes.pop("deployment", {})}
        config = {
            "apisix": {**apisix, **changes.pop("apisix", {})},
            "nginx_config": {"worker_processes": 2, "error_log": "error.log"},
            "deployment": deployment,
            **changes,
        }
        (directory / "config.yaml").write_text(yaml.safe_dump(config))
        for name, text in (files or {}).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        process = subprocess.Popen(
            [sys.executable, "-m", "pygw", "run", "-c", "config.yaml"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        gateways.append(Gateway(process, directory))
        return gateways[-1]

    yield run
    for gateway in gateways:
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with running(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture
def own_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """One that no other test needs."""
    with running(tmp_path_factory.mktemp("etcd")) as server:
        yield server
