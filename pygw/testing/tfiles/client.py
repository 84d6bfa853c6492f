"""Owns the requests of a block: what goes over the wire, when, and the parsing of what comes back.

Must never judge a response; `checks` does.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pygw.testing.tfiles.spec import Block

_LINE = re.compile(r"\s*(\S+)(?: +(\S+))?(?: +(\S+))? *\s*$")
_COMMENT = re.compile(r"^\s*#[^\n]+\s+|^\s+")


class BadRequest(Exception):
    """A block's request cannot be made sense of."""


@dataclass
class Packet:
    """A piece of a request. delay: seconds to wait before it is sent."""

    data: bytes
    delay: float = 0.0


@dataclass
class Request:
    """What one connection sends. count: responses to expect; head: they have no body."""

    packets: list[Packet]
    count: int = 1
    head: bool = False


@dataclass
class Response:
    """A response as it was read; code "" when there was none. left: bytes behind it."""

    code: str = ""
    head: str = ""
    body: str = ""
    left: bytes = b""
    trouble: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """All values of a header, joined; None when it is not there."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None


def requests_of(block: Block, host: str, expand: Callable[[str], str]) -> list[Request]:
    """The connections that a block makes, in order. Raises BadRequest."""
    if block.has("raw_request"):
        raw = block.sections["raw_request"]
        delay = block.seconds("raw_request_middle_delay", 0)
        pieces = raw if isinstance(raw, list) else [raw]
        packets = [Packet(_bytes(each), delay if i else 0) for i, each in enumerate(pieces)]
        return [_request(packets)]
    if block.has("pipelined_requests"):
        given = block.sections["pipelined_requests"]
        texts = [expand(each) for each in given]
        last = len(texts) - 1
        whole = b"".join(
            _build(text, block.at("more_headers", i), host, "close" if i == last else "keep-alive")
            for i, text in enumerate(texts)
        )
        return [Request([Packet(whole)], count=len(texts))]
    given = block.sections.get("request")
    if given is None:
        raise BadRequest("the block has no request")
    each = given if isinstance(given, list) else [given]
    return [_one(one, block.at("more_headers", i), host, expand) for i, one in enumerate(each)]


def _one(given: Any, more: Any, host: str, expand: Callable[[str], str]) -> Request:
    if isinstance(given, str):
        return _request([Packet(_build(expand(_clean(given)), more, host, "close"))])
    if not isinstance(given, list):
        raise BadRequest(f"a request is a text or a list, not a {type(given).__name__}")
    return _request(_in_packets(given, more, host))


def _in_packets(given: list[Any], more: Any, host: str) -> list[Packet]:
    """A request that was given in pieces: what is added goes in behind the request line."""
    texts = [each["value"] if isinstance(each, dict) else each for each in given]
    delays = [float(each.get("delay_before", 0)) if isinstance(each, dict) else 0 for each in given]
    text = "".join(texts)
    line = len(text.partition("\n")[0])
    whole = _build(text, more, host, "close")
    added = whole.index(b"\r\n\r\n") + 4 - (line + 1)
    packets, position, start = [], 0, 0
    for each, delay in zip(texts, delays, strict=True):
        position += len(each)
        end = len(whole) if position == len(text) else position + (added if position > line else 0)
        packets.append(Packet(whole[start:end], delay))
        start = end
    return [each for each in packets if each.data]


def _request(packets: list[Packet]) -> Request:
    whole = b"".join(packet.data for packet in packets)
    return Request(packets, head=bool(re.match(rb"\s*HEAD\s", whole)))


def _clean(text: str) -> str:
    while found := _COMMENT.match(text):
        text = text[found.end() :]
    return text


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _more(text: Any) -> tuple[str, bool]:
    """The lines of more_headers as they are sent, and whether the body is chunked."""
    lines, chunked = [], False
    for line in re.split(r"\n+", text or ""):
        if not line or re.match(r"\s*#", line):
            continue
        key, _, value = line.partition(":")
        value = value.lstrip()
        chunked = chunked or (key.lower() == "transfer-encoding" and value == "chunked")
        lines.append(f"{key}: {value}\r\n")
    return "".join(lines), chunked


def _build(text: str, more: Any, host: str, connection: str) -> bytes:
    """A request from "METHOD URI VERSION\\nbody", as Test::Nginx writes it."""
    first, _, body = text.partition("\n")
    line = _LINE.match(first)
    if not line:
        raise BadRequest(f"{first!r} is not METHOD, URI and version, as a request begins")
    headers, chunked = _more(more)
    lowered = "\n" + headers.lower()
    extra = ""
    if "\nhost:" not in lowered:
        extra += f"Host: {host}\r\n"
    if "\nconnection" not in lowered:
        extra += f"Connection: {connection}\r\n"
    length = ""
    if body and not chunked and not re.search(r"(?:^|\n)Content-Length:", headers):
        body = body.strip()
        length = f"Content-Length: {len(body)}\r\n"
    method, uri, version = line[1], line[2] or "/", line[3] or "HTTP/1.1"
    return _bytes(f"{method} {uri} {version}\r\n{extra}{headers}{length}\r\n{body}")


@dataclass
class Exchange:
    """What came back on a connection, and whether nothing more came in time."""

    data: bytes
    timed_out: bool


def exchange(request: Request, address: Any, seconds: float, shutdown: int | None) -> Exchange:
    """Send a request, read until the end. seconds: of silence; shutdown: how, once sent."""
    try:
        link = socket.create_connection(address, seconds)
    except OSError as error:
        return Exchange(f"cannot connect: {error}".encode(), False)
    with link:
        return _exchange(link, list(request.packets), seconds, shutdown)


def _exchange(
    link: socket.socket, packets: list[Packet], seconds: float, shutdown: int | None
) -> Exchange:
    link.setblocking(False)
    got, pending = b"", b""
    while True:
        if not pending and packets:
            packet = packets.pop(0)
            time.sleep(packet.delay)
            pending = packet.data
        readable, writable, _ = select.select([link], [link] if pending else [], [], seconds)
        if not readable and not writable:
            return Exchange(got, True)
        try:
            if writable:
                pending = pending[link.send(pending) :]
                if not pending and not packets and shutdown is not None:
                    link.shutdown(shutdown)
            if readable:
                piece = link.recv(65536)
                if not piece:
                    return Exchange(got, False)
                got += piece
        except BlockingIOError:
            continue
        except OSError:
            return Exchange(got, False)


def parse(data: bytes, head_only: bool) -> Response:
    """The first response in data; what follows it is in `left`."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1") + ("\r\n" if separator else "")
    lines = text.split("\r\n")
    status = re.match(r"HTTP/\d\.\d +(\d+)", lines[0])
    response = Response(status[1] if status else "", text if separator else "")
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon:
            response.headers.append((key.strip(), value.strip()))
    chunked = response.header("Transfer-Encoding") == "chunked"
    if response.code in ("304", "101") or (head_only and not (chunked and rest)):
        response.body = rest.decode("latin-1")
        return response
    length = response.header("Content-Length") or ""
    if chunked:
        _dechunk(response, rest)
    elif length.isdigit():
        response.body = rest[: int(length)].decode("latin-1")
        response.left = rest[int(length) :]
    else:
        response.body = rest.decode("latin-1")
    return response


def _dechunk(response: Response, rest: bytes) -> None:
    body = b""
    while True:
        size = re.match(rb"[ \t]*([0-9a-fA-F]+)[ \t]*\r\n", rest)
        if not size:
            response.trouble = f"no last chunk found: {rest[:200]!r}" if not rest else "bad chunk"
            break
        number, rest = int(size[1], 16), rest[size.end() :]
        if number == 0:
            response.left = rest.partition(b"\r\n")[2] if rest[:2] == b"\r\n" else rest
            break
        if rest[number : number + 2] != b"\r\n":
            response.trouble = "a chunk that is not complete"
            break
        body, rest = body + rest[:number], rest[number + 2 :]
    response.body = body.decode("latin-1")
