"""A worker in this process that runs a small Lua application, and a client for it."""

import contextlib
import os
import socket as plain_socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

from pygw.config.settings import load
from pygw.hub.clock import Clock
from pygw.vm.worker import Worker


@dataclass
class Response:
    """What came back; headers are in order, names as sent."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def _parse(data: bytes) -> Response:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    if ("transfer-encoding", "chunked") in [(n.lower(), v) for n, v in headers]:
        chunks = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            chunks, body = chunks + body[: int(size, 16)], body[int(size, 16) + 2 :]
        body = chunks
    return Response(int(first.split()[1]), headers, body.decode("latin-1"))


@dataclass
class Gateway:
    """A worker that serves, and its error log."""

    worker: Worker
    port: int
    log_path: Path
    timeout: float = field(default=10)

    def request(
        self,
        target: str = "/",
        method: str = "GET",
        headers: tuple[str, ...] = (),
        body: bytes = b"",
        chunked: tuple[bytes, ...] = (),
    ) -> Response:
        """Send one request on its own connection and return the response.

        `chunked`: the body in chunks, instead of `body`; the caller gives the header.
        """
        lines = [f"{method} {target} HTTP/1.1", "Host: test.com", "Connection: close", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        if chunked:
            parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunked, b"")]
            body = b"".join(parts)
        data = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        with (
            gevent.Timeout(self.timeout),
            contextlib.closing(socket.create_connection(("127.0.0.1", self.port))) as connection,
        ):
            connection.sendall(data)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        return _parse(received)

    def log(self) -> str:
        """The error log so far."""
        return self.log_path.read_text("latin-1")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start an application given as Lua code; `config` is the text of config.yaml."""
    with contextlib.ExitStack() as stack:

        def start(app: str, config: str = "{}", clock: Clock | None = None) -> Gateway:
            (tmp_path / "conf").mkdir(exist_ok=True)
            (tmp_path / "app.lua").write_text(app)
            (tmp_path / "conf" / "config.yaml").write_text(config)
            settings = load(tmp_path / "conf" / "config.yaml")
            log_path = tmp_path / "error.log"
            log_fd = os.open(log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            stack.callback(os.close, log_fd)
            listener = plain_socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            stack.callback(listener.close)
            options: dict[str, Any] = {"clock": clock} if clock else {}
            worker = Worker(
                settings,
                0,
                [listener.fileno()],
                str(tmp_path / "app.lua"),
                error_fd=log_fd,
                **options,
            )
            worker.start()
            stack.callback(worker.run)
            stack.callback(worker.stop, False)
            return Gateway(worker, listener.getsockname()[1], log_path)

        yield start
