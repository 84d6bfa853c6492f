"""Owns HTTP/1.1 messages as tests write and read them. Must never judge them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, str] | Iterable[tuple[str, str]]


class Headers(list[tuple[str, str]]):
    """Header fields in order, names as sent."""

    def all(self, name: str) -> list[str]:
        """All values of a field, whatever the case of its name."""
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of a field that stands there once at most. Raises ValueError if it does not."""
        values = self.all(name)
        if len(values) > 1:
            raise ValueError(f"{name} stands there {len(values)} times: {values}")
        return values[0] if values else default

    def __getitem__(self, name: Any) -> Any:
        """The value of the field `name`, as get(); KeyError without one. An index gives a pair."""
        if not isinstance(name, str):
            return super().__getitem__(name)
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return bool(self.all(str(name)))


@dataclass
class Answer:
    """A response to a request of the test's."""

    status: int
    reason: str
    headers: Headers
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, read as JSON. Raises ValueError."""
        return json.loads(self.body)


@dataclass
class Seen:
    """A request as the upstream got it; target: path and query as sent; version: "HTTP/1.1"."""

    method: str
    target: str
    version: str
    headers: Headers
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def json(self) -> Any:
        """The body, read as JSON. Raises ValueError."""
        return json.loads(self.body)


def pairs(fields: Fields | None) -> list[tuple[str, str]]:
    """Header fields in any of the forms that callers may use."""
    if isinstance(fields, Mapping):
        return list(fields.items())
    return list(fields or [])


def request(
    method: str, target: str, fields: Iterable[tuple[str, str]], body: bytes | None
) -> bytes:
    """A whole request, as bytes. Its length is told when it has a body."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + (body or b"")


def answer(data: bytes, method: str) -> Answer:
    """The response in `data`, all that came until the connection's end. Raises ValueError."""
    status, reason = 0, ""
    while status < 200:  # 100 Continue and the like come before the response
        head, end, data = data.partition(b"\r\n\r\n")
        if not end:
            raise ValueError(f"no response, but {head[:200]!r}")
        first, fields = read_head(head)
        status = int(first.split(" ")[1])
        reason = first.partition(" ")[2].partition(" ")[2]
    if method == "HEAD" or status in (204, 304):
        if data:
            raise ValueError(f"the response must have no body, but has {data[:200]!r}")
    elif "chunked" in (fields.get("Transfer-Encoding") or ""):
        data = _unchunked(data)
    return Answer(status, reason, fields, data)


def read_request(stream: Any) -> Seen | None:
    """The next request of a binary stream; None at its end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    first, headers = read_head(head[:-4])
    method, target, version = first.split(" ")
    return Seen(method, target, version, headers, _read_body(stream, headers))


def _read_body(stream: Any, headers: Headers) -> bytes:
    if length := headers.get("Content-Length"):
        return bytes(stream.read(int(length)))
    body = b""
    if headers.get("Transfer-Encoding"):
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    return body


def read_head(head: bytes) -> tuple[str, Headers]:
    """The first line and the fields of a message's head, without the empty line at its end."""
    first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    split = (line.partition(":") for line in lines)
    return first, Headers((name, value.strip()) for name, _, value in split)


def _unchunked(data: bytes) -> bytes:
    body = b""
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            raise ValueError(f"the response ends within its body, after {body[-200:]!r}")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            return body
        body, data = body + data[:size], data[size + 2 :]
