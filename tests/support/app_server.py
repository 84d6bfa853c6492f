"""A worker that runs a Lua application in a process of its own, for tests that speak to its socket.

Use the fixtures `app_server` (stopped after the test) or `module_app_server` (after the module) of
tests/conftest.py. The process is one that a test may wedge, measure or bring down.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from support.http import Client

PATIENCE = 20.0  # seconds before a test gives up on an event
CHILD = Path(__file__).with_name("app_child.py")


class Log:
    """The worker's error log as it grows."""

    def __init__(self, stream: Any) -> None:
        self._text = ""
        self._grown = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: Any) -> None:
        with stream:
            while piece := os.read(stream.fileno(), 65536):
                with self._grown:
                    self._text += piece.decode("latin-1")
                    self._grown.notify_all()
        with self._grown:
            self._ended = True
            self._grown.notify_all()

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until `text` stands there `count` times; returns the whole log."""
        with self._grown:
            self._grown.wait_for(lambda: self._text.count(text) >= count or self._ended, PATIENCE)
            assert self._text.count(text) >= count, f"no {text!r} in:\n{self._text}"
            return self._text

    def lines(self, text: str) -> list[str]:
        """The lines so far that hold `text`."""
        return [line for line in self.text.splitlines() if text in line]

    @property
    def text(self) -> str:
        with self._grown:
            return self._text

    def join(self) -> None:
        self._reader.join(PATIENCE)


class AppServer:
    """A worker that serves. `port` (`ports`: of all its listeners), `pid`, `log`; `connect()` and
    `ask()` speak to it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.log = Log(process.stderr)
        ports = self._answer().split()
        if not ports or not ports[0].isdigit():
            self.stop()
            raise AssertionError(f"the worker did not start:\n{self.log.text}")
        self.ports = [int(port) for port in ports]
        self.port = self.ports[0]

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().decode().strip()

    def _tell(self, line: str) -> str:
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert answer.startswith("ok"), f"the worker ended:\n{self.log.text}"
        return answer[2:].strip()

    def advance(self, seconds: float) -> None:
        """Let virtual time pass; returns when all input so far and all that fell due is seen to."""
        self._tell(f"advance {seconds}")

    def connections(self) -> tuple[int, int]:
        """How many client connections are open, and how many of these are idle."""
        total, idle = self._tell("connections").split()
        return int(total), int(idle)

    def settle(self) -> None:
        """Wait until no client connection is open."""
        while self.connections()[0]:
            pass

    def quit(self) -> None:
        """Begin to drain."""
        self._tell("quit")

    def connect(self, buffer: int | None = None, listener: int = 0) -> Client:
        """A connection to it. buffer: size in bytes of the client's receive buffer.

        listener: which of its ports.
        """
        plain = socket.socket()
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        plain.settimeout(PATIENCE)
        plain.connect(("127.0.0.1", self.ports[listener]))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(plain)

    def ask(self, *arguments: Any, **options: Any) -> Any:
        """Send one request on a connection of its own; arguments as of Client.ask."""
        with self.connect() as client:
            return client.ask(*arguments, **options)

    def rss(self) -> int:
        """The worker's resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many descriptors the worker holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def wait(self) -> int:
        """Wait for the process's end; returns its exit code."""
        return self._process.wait(PATIENCE)

    def stop(self) -> None:
        """End it, by force when it does not listen any more."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the worker hung; its log:\n{self.log.text}") from None
        finally:
            self._process.stdout.close()
            self.log.join()


def _lua(value: object) -> str:
    return json.dumps(value)


@contextlib.contextmanager
def running_app(
    source: str,
    *,
    virtual: bool = False,
    listeners: int = 1,
    tls: Sequence[int] = (),
    strict: bool = False,
    **settings: Any,
) -> Iterator[AppServer]:
    """Run the application `source` (Lua text that returns its table of phases).

    virtual: time stands still until `advance`. listeners: how many; tls: the numbers of those
    over TLS, from 1. strict: OpenResty's restrictions by phase are in force. settings: of
    lua/server/settings.lua.
    """
    # On the first line, so that the lines of `source` keep their numbers.
    pairs = " ".join(f"s.{name} = {_lua(value)}" for name, value in settings.items())
    with tempfile.TemporaryDirectory() as directory:
        app = Path(directory) / "app.lua"
        app.write_text(f'do local s = require "server.settings" {pairs} end {source}', "latin-1")
        options = {
            "app": str(app),
            "virtual": virtual,
            "listeners": listeners,
            "tls": tls,
            "strict": strict,
        }
        process = subprocess.Popen(
            [sys.executable, str(CHILD), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        server = AppServer(process)
        try:
            yield server
        finally:
            server.stop()
