"""A real gateway in processes of its own, and the means to wait on what happens to it."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PATIENCE = 30.0  # seconds before a test gives up on an event

APP = """
    local function answer()
        local uri = ngx.var.uri
        if uri == "/slow" then
            ngx.log(ngx.ERR, "slow began")
            ngx.sleep(tonumber(ngx.var.arg_s) or 0.5)
        elseif uri == "/log" then
            ngx.log(ngx.ERR, "the worker logs")
        end
        ngx.print(ngx.worker.pid())
    end
    return { content = answer }
"""


class Lines:
    """Reads a pipe line by line, with a deadline."""

    def __init__(self, fd: int) -> None:
        self._fd, self._rest, self.seen = fd, b"", ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in the lines not waited for yet; fails with all of them at the end."""
        deadline = time.monotonic() + PATIENCE
        while True:
            line, separator, rest = self._rest.partition(b"\n")
            if separator:
                self._rest = rest
                self.seen += line.decode() + "\n"
                if match := re.search(pattern, line.decode()):
                    return match
            elif not self._fill(deadline):
                pytest.fail(f"no line matches {pattern!r} in:\n{self.seen}")

    def everything(self) -> str:
        """All that came, to the end of the pipe."""
        while self._fill(time.monotonic() + PATIENCE):
            pass
        self.seen, self._rest = self.seen + self._rest.decode(), b""
        return self.seen

    def _fill(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(0, deadline - time.monotonic()))
        data = os.read(self._fd, 65536) if ready else b""
        self._rest += data
        return bool(data)


class Gateway:
    """A `pygw run` of its own directory."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        assert process.stdout
        assert process.stderr
        self.process, self.directory = process, directory
        self.out, self.log = Lines(process.stdout.fileno()), Lines(process.stderr.fileno())
        self.port = 0

    def started(self) -> Gateway:
        """Wait until it says that it serves."""
        self.port = int(self.out.wait_for(r"listening on 127\.0\.0\.1:(\d+)")[1])
        return self

    def connect(self) -> socket.socket:
        """A connection to it; closing is the caller's."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def get(self, uri: str = "/") -> int:
        """GET uri on a connection of its own; returns the pid of the worker that answered."""
        with self.connect() as connection:
            return self.ask(connection, uri)

    def ask(self, connection: socket.socket, uri: str = "/") -> int:
        """Send a request and read its answer."""
        self.send(connection, uri)
        return self.answer(connection)

    def send(self, connection: socket.socket, uri: str) -> None:
        """Send a request that is the connection's last."""
        connection.sendall(f"GET {uri} HTTP/1.0\r\n\r\n".encode())

    def answer(self, connection: socket.socket) -> int:
        """Read an answer to its end; returns the pid in its body."""
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
        assert data.startswith(b"HTTP/1.1 200 "), data
        return int(data.rpartition(b"\r\n\r\n")[2])

    def children(self) -> list[int]:
        """Pids of the master's children that live; the dead may not be reaped yet."""
        pid = self.process.pid
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(pid) for pid in pids if _state(pid) not in "ZX"]

    def tell(self, number: signal.Signals) -> None:
        """Send the master a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(PATIENCE)


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _wait_dead(pid: int) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([fd], [], [], PATIENCE)
    os.close(fd)
    assert ready, f"process {pid} still lives"


StartGateway = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartGateway]:
    """Start a gateway: start(config text, *options, app=..., command=...); stopped afterwards."""
    running: list[Gateway] = []

    def run(
        config: str = "", *options: str, app: str | None = APP, command: list[str] | None = None
    ) -> Gateway:
        (tmp_path / "config.yaml").write_text(textwrap.dedent(config))
        arguments = ["--listen", "127.0.0.1:0", *options]
        if app is not None:
            (tmp_path / "app.lua").write_text(app)
            arguments += ["--app", "app.lua"]
        process = subprocess.Popen(
            command or [sys.executable, "-m", "pygw", "run", *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(Gateway(process, tmp_path))
        return running[-1]

    yield run
    for gateway in running:
        children = gateway.children() if gateway.process.poll() is None else []
        gateway.process.kill()
        gateway.process.communicate()
        for pid in children:
            _wait_dead(pid)


@pytest.fixture
def wait_dead() -> Callable[[int], None]:
    """Wait until the process of a pid is gone."""
    return _wait_dead
