"""A client that says exactly what it is told, and reads responses strictly (RFC 9112)."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from types import TracebackType


class Truncated(AssertionError):
    """The connection ended in the middle of a response."""


@dataclass
class Response:
    """A response; header names as sent, in order. `raw` is its head as it came."""

    status: int
    reason: str
    version: str
    headers: list[tuple[str, str]]
    raw: bytes
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The value of a header that may stand there once at most."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else None

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")


def _fields(lines: list[str]) -> list[tuple[str, str]]:
    pairs = []
    for line in lines:
        matched = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", line)
        assert matched, f"not a header line: {line!r}"
        pairs.append((matched[1], matched[2]))
    return pairs


class Client:
    """One connection. What it reads it takes from `held` first."""

    def __init__(self, plain: socket.socket) -> None:
        self.socket = plain
        self.held = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def shut(self) -> None:
        """Say that nothing follows."""
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.held += piece
        return bool(piece)

    def read_until(self, mark: bytes) -> bytes:
        """The bytes up to and with `mark`."""
        while mark not in self.held:
            if not self._more():
                raise Truncated(f"the connection ended before {mark!r}: {self.held!r}")
        found, mark, self.held = self.held.partition(mark)
        return found + mark

    def read_exactly(self, count: int) -> bytes:
        while len(self.held) < count:
            if not self._more():
                raise Truncated(f"the connection ended {count - len(self.held)} bytes early")
        found, self.held = self.held[:count], self.held[count:]
        return found

    def read_all(self) -> bytes:
        """Everything until the peer closes (or resets) the connection."""
        while self._more():
            pass
        found, self.held = self.held, b""
        return found

    def closed(self) -> bool:
        """Wait for the connection's end; False when bytes come instead."""
        return not self.held and not self._more()

    def head(self) -> Response:
        """Read the next head alone, an interim one too."""
        raw = self.read_until(b"\r\n\r\n")
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        matched = re.fullmatch(r"HTTP/(1\.[01]) (\d{3}) (.*)", first)
        assert matched, f"not a status line: {first!r}"
        return Response(int(matched[2]), matched[3], matched[1], _fields(lines), raw)

    def _chunks(self, response: Response) -> None:
        while True:
            line = self.read_until(b"\r\n")[:-2]
            assert re.fullmatch(rb"[0-9a-fA-F]+", line), f"not a chunk size: {line!r}"
            size = int(line, 16)
            if size == 0:
                break
            response.body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            response.trailers += _fields([line[:-2].decode("latin-1")])

    def body(self, response: Response, method: str = "GET") -> Response:
        """Read the body that belongs to a head."""
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return response
        length = response.header("Content-Length")
        coding = response.header("Transfer-Encoding")
        assert not (length and coding), "both Content-Length and Transfer-Encoding"
        if coding:
            assert coding == "chunked"
            self._chunks(response)
        elif length is not None:
            response.body = self.read_exactly(int(length))
        else:
            response.body = self.read_all()
        return response

    def response(self, method: str = "GET") -> Response:
        """Read the next final response; interim ones are skipped."""
        while True:
            head = self.head()
            if head.status >= 200 or head.status == 101:
                return self.body(head, method)

    def ask(
        self,
        target: str = "/",
        *headers: str,
        method: str = "GET",
        body: bytes | None = None,
        version: str = "1.1",
    ) -> Response:
        """Send a request with "Host: test" and a Content-Length for `body`; read the response."""
        lines = [f"{method} {target} HTTP/{version}", "Host: test", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
        return self.response(method)
