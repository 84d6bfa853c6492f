"""Owns a gateway that has its configuration in a store, and the clients that ask it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from gateway.contestants import free_port

from configured.stores import Place

KEY = "benchmark-key"
_PATIENCE = 120.0  # seconds for a start


@dataclass
class Gateway:
    """A gateway that runs: its ports, its worker processes."""

    port: int
    admin_port: int
    pids: list[int]

    def cpu_seconds(self) -> float:
        """CPU time of the workers so far, to the nanosecond."""
        return sum(
            int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])
            for pid in self.pids
        ) / 1e9  # fmt: skip

    def rss_mib(self) -> float:
        """The memory of the first worker."""
        pages = int(Path(f"/proc/{self.pids[0]}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Admin:
    """A client of the Admin API, on one connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def put(self, path: str, value: dict[str, Any]) -> None:
        """Write an item; returns once it is acknowledged. Raises RuntimeError when refused."""
        self._connection.request(
            "PUT", f"/apisix/admin/{path}", json.dumps(value), {"X-API-KEY": KEY}
        )
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"PUT {path}: {answer.status} {text!r}")


class Client:
    """A keep-alive connection to the gateway that asks for one path again and again."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    def ask(self) -> bytes:
        """The whole answer, head and body; it must come with a Content-Length or in chunks."""
        self.send()
        return self.receive()

    def send(self) -> None:
        """The first half of ask()."""
        self._socket.sendall(self._request)

    def receive(self) -> bytes:
        """The second half of ask()."""
        answer = b""
        while not _is_whole(answer):
            more = self._socket.recv(65536)
            if not more:
                raise RuntimeError(f"the connection ended after {answer!r}")
            answer += more
        return answer

    def close(self) -> None:
        self._socket.close()


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    head = head.lower()
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head.partition(b"content-length:")[2].split(b"\r\n")[0])


@contextmanager
def running(
    place: Place, directory: Path, workers: int, path: str, core: int | None = None
) -> Iterator[tuple[Gateway, float]]:
    """A gateway, and the seconds from its start to its first answer to `path` that is no 404.

    core: the processor of the workers (and of all else that the gateway starts).
    """
    port, admin_port = free_port(), free_port()
    provider = place.name
    config = {
        "apisix": {
            "node_listen": [{"ip": "127.0.0.1", "port": port}],
            "enable_control": False,
        },
        "deployment": {
            "role": "traditional",
            "role_traditional": {"config_provider": provider},
            "admin": {
                "admin_listen": {"ip": "127.0.0.1", "port": admin_port},
                "admin_key": [{"name": "admin", "key": KEY, "role": "admin"}],
            },
            **place.deployment,
        },
        "nginx_config": {
            "worker_processes": workers,
            "error_log_level": "error",
            "http": {"keepalive_requests": 100000000},
        },
        "plugins": ["fault-injection", "proxy-rewrite"],
    }
    directory.mkdir(exist_ok=True)
    (directory / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    pygw = str(Path(sys.executable).with_name("pygw"))
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*pinned, pygw, "run", "-c", str(directory / "config.yaml")], stdout=subprocess.DEVNULL
    )
    try:
        _until_served(port, path, process)
        took = time.perf_counter() - begun
        yield Gateway(port, admin_port, _workers(process.pid)), took
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _until_served(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the gateway ended with {process.returncode}")
        try:
            client = Client(port, path)
        except OSError:
            time.sleep(0.005)
            continue
        status = client.ask()[9:12]
        client.close()
        if status == b"200":
            return
        time.sleep(0.005)
    raise RuntimeError(f"{path} was not served within {_PATIENCE:g} s")


def _workers(master: int) -> list[int]:
    found = []
    children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii")
    for pid in children.split():
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"pygw.process.worker" in command and b"--agent" not in command:
            found.append(int(pid))
    return found
