"""Stands in for a plugin runner of APISIX: `python runner.py SOCKET [--package]`.

It speaks the protocol of ext-plugin (a byte of type, three of length, a flatbuffer), and does with
a request what the measured Python phase does. One thread and one epoll loop for all connections.
Messages are read and written by `struct`, and what does not change is encoded once: no runner can
be cheaper. With --package they are by the package flatbuffers from PyPI, in the steps that its
generated code takes, as real runners do. Must never be told what to answer but by the request.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import socket
import struct
import sys
import time
from importlib import import_module
from typing import Any

PREPARE_CONF, HTTP_REQ_CALL = 1, 2
READ, WRITTEN = b"x-team", b"x-gateway"
BLOCK_CONF = b"block"  # in the key of a configuration: requests of it wait
WAIT = 0.01

_u16, _u32, _i32 = (struct.Struct(each).unpack_from for each in ("<H", "<I", "<i"))
_pack = struct.Struct
# Fields by number, of the tables of ext-plugin.fbs.
REQ_ID, REQ_HEADERS, REQ_TOKEN = 0, 5, 6


def _table(data: bytes, at: int) -> int:
    """The position of the table (or the vector, the string) that the offset at `at` leads to."""
    return at + int(_u32(data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """The position of a field of a table, 0 without it."""
    vtable = table - int(_i32(data, table)[0])
    entry = 4 + 2 * number
    if entry >= _u16(data, vtable)[0]:
        return 0
    offset = int(_u16(data, vtable + entry)[0])
    return table + offset if offset else 0


def _text(data: bytes, table: int, number: int) -> bytes:
    at = _field(data, table, number)
    if not at:
        return b""
    start = _table(data, at)
    return data[start + 4 : start + 4 + int(_u32(data, start)[0])]


def _header(data: bytes, request: int, wanted: bytes) -> bytes:
    at = _field(data, request, REQ_HEADERS)
    if not at:
        return b""
    vector = _table(data, at)
    for number in range(_u32(data, vector)[0]):
        entry = _table(data, vector + 4 + 4 * number)
        if _text(data, entry, 0).lower() == wanted:
            return _text(data, entry, 1)
    return b""


def _string(text: bytes) -> bytes:
    return len(text).to_bytes(4, "little") + text + bytes(4 - len(text) % 4)


def _prepared(token: int) -> bytes:
    """PrepareConf.Resp {conf_token}."""
    return _pack("<IHHHxxiI").pack(12, 6, 8, 4, 8, token)


# HTTPReqCall.Resp {id, action: Rewrite {headers: [TextEntry {name, value}]}}. Vtables: Resp at 4,
# Rewrite at 32, TextEntry at 56; tables: 16, 40, 64; the vector of headers at 48.
_RESP = _pack("<IHHHHHxxiIIBxxxHHHHiIIIHHHHiII")


def _rewritten(request_id: int, name: bytes, value: bytes) -> bytes:
    name_at, value_at = 76, 76 + 4 + len(name) + 4 - len(name) % 4
    head = _RESP.pack(
        16, 10, 16, 4, 12, 8,  # root offset; vtable of Resp: id, action_type, action
        12, request_id, 16, 2,  # Resp; its action is at 40
        8, 8, 0, 4, 8, 4,  # vtable of Rewrite: no path, headers; Rewrite; its vector is at 48
        1, 12,  # the vector; its entry is at 64
        8, 12, 4, 8,  # vtable of TextEntry
        8, name_at - 68, value_at - 72,
    )  # fmt: skip
    return head + _string(name) + _string(value)


def _header_by_package(data: bytes, wanted: bytes) -> bytes:
    table: Any = import_module("flatbuffers.table")  # the benchmark runs without it, too
    request = table.Table(data, _table(data, 0))
    vector = request.Offset(4 + 2 * REQ_HEADERS)
    for number in range(request.VectorLen(vector) if vector else 0):
        entry = table.Table(data, request.Indirect(request.Vector(vector) + 4 * number))
        if bytes(entry.String(entry.Offset(4) + entry.Pos)).lower() == wanted:
            return bytes(entry.String(entry.Offset(6) + entry.Pos))
    return b""


def _rewritten_by_package(request_id: int, name: bytes, value: bytes) -> bytes:
    builder: Any = import_module("flatbuffers").Builder(256)
    texts = builder.CreateString(name), builder.CreateString(value)
    builder.StartObject(2)
    for slot, text in enumerate(texts):
        builder.PrependUOffsetTRelativeSlot(slot, text, 0)
    entry = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(entry)
    vector = builder.EndVector()
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(1, vector, 0)
    rewrite = builder.EndObject()
    builder.StartObject(3)
    builder.PrependUint32Slot(0, request_id, 0)
    builder.PrependUint8Slot(1, 2, 0)
    builder.PrependUOffsetTRelativeSlot(2, rewrite, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _framed(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + len(data).to_bytes(3, "big") + data


class Runner:
    """Serves connections of one gateway on a unix socket, for ever."""

    def __init__(self, path: str, package: bool) -> None:
        self._rewritten = _rewritten_by_package if package else _rewritten
        self._selector = selectors.EpollSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1024)
        self._selector.register(self._listener, selectors.EVENT_READ, b"")
        self._blocking: set[int] = set()  # tokens
        self._tokens = itertools.count(1)
        self._due: list[tuple[float, int, socket.socket, bytes]] = []
        self._order = itertools.count()

    def serve(self) -> None:
        """The loop."""
        while True:
            timeout = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(timeout):
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj is self._listener:
                    self._selector.register(self._listener.accept()[0], selectors.EVENT_READ)
                else:
                    self._read(key.fileobj)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, connection, answer = heapq.heappop(self._due)
                self._send(connection, answer)

    def _read(self, connection: socket.socket) -> None:
        try:  # a gateway has one question at a time on a connection, and it is small
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()
            return
        while len(data) < 4 or len(data) < 4 + int.from_bytes(data[1:4], "big"):
            more = connection.recv(65536)
            if not more:
                return
            data += more
        self._answer(connection, data[0], data[4:])

    def _answer(self, connection: socket.socket, kind: int, data: bytes) -> None:
        root = _table(data, 0)
        if kind == PREPARE_CONF:
            token = next(self._tokens)
            if BLOCK_CONF in _text(data, root, 1):
                self._blocking.add(token)
            self._send(connection, _framed(PREPARE_CONF, _prepared(token)))
            return
        assert kind == HTTP_REQ_CALL, kind
        at = _field(data, root, REQ_ID)
        request_id = int(_u32(data, at)[0]) if at else 0
        answer = self._rewritten(request_id, WRITTEN, self._header(data, root))
        token = int(_u32(data, _field(data, root, REQ_TOKEN))[0])
        if token in self._blocking:
            due = time.monotonic() + WAIT
            heapq.heappush(self._due, (due, next(self._order), connection, _framed(kind, answer)))
        else:
            self._send(connection, _framed(kind, answer))

    def _header(self, data: bytes, request: int) -> bytes:
        if self._rewritten is _rewritten:
            return _header(data, request, READ)
        return _header_by_package(data, READ)

    def _send(self, connection: socket.socket, answer: bytes) -> None:
        with contextlib.suppress(OSError):  # closed meanwhile
            connection.sendall(answer)


if __name__ == "__main__":
    with contextlib.suppress(FileNotFoundError):
        os.unlink(sys.argv[1])
    Runner(sys.argv[1], "--package" in sys.argv).serve()
