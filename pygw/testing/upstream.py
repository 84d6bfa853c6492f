"""Owns the upstream that a gateway under test talks to: it answers as told, keeps what it got."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import gevent.pool
import gevent.server

from pygw.testing.messages import Fields, Seen, pairs, read_request

Reply = tuple[int, Fields | None, Any]


class Upstream:
    """A server on a free port of 127.0.0.1. `requests`: what it got; `node`: its "host:port".

    connections: how many were made to it.

    It answers 200 "hello", unless `reply`, `reply_once` or `respond` say otherwise. An answer with
    "Connection: close" ends its connection.
    """

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.connections = 0
        self._respond: Callable[[Seen], Reply] = _hello
        self._once: Reply | None = None
        pool = gevent.pool.Pool()  # whose greenlets end with the server
        self._server = gevent.server.StreamServer(("127.0.0.1", 0), self._serve, spawn=pool)
        self._server.start()
        self.port: int = self._server.server_port
        self.node = f"127.0.0.1:{self.port}"

    @property
    def last(self) -> Seen:
        """The last request. Raises AssertionError when none came."""
        assert self.requests, "no request came to the upstream"
        return self.requests[-1]

    def reply(self, status: int = 200, body: Any = "", headers: Fields | None = None) -> None:
        """Answer every request so from now on; body: str, bytes, or what JSON can say."""
        self._respond = lambda _: (status, headers, body)

    def reply_once(self, status: int = 200, body: Any = "", headers: Fields | None = None) -> None:
        """Answer the next request so, and the others as before; as reply(). The last call holds."""
        self._once = (status, headers, body)

    def respond(self, function: Callable[[Seen], Reply]) -> None:
        """Answer requests with what function(request) returns: (status, headers, body)."""
        self._respond = function

    def reset(self) -> None:
        """Forget the requests, and what to answer."""
        self.requests.clear()
        self._respond, self._once = _hello, None

    def stop(self) -> None:
        """End it; connections that are open are closed."""
        self._server.stop(timeout=0)

    def _serve(self, connection: Any, _address: Any) -> None:
        self.connections += 1
        with contextlib.closing(connection), connection.makefile("rb") as stream:
            while seen := read_request(stream):
                self.requests.append(seen)
                once, self._once = self._once, None
                status, headers, body = once or self._respond(seen)
                fields = pairs(headers)
                connection.sendall(_message(seen, status, fields, body))
                if ("connection", "close") in ((name.lower(), value) for name, value in fields):
                    return


def _hello(_: Seen) -> Reply:
    return 200, None, "hello"


def _message(seen: Seen, status: int, given: list[tuple[str, str]], body: Any) -> bytes:
    data = body if isinstance(body, bytes) else _text(body).encode()
    fields = list(given)
    if not isinstance(body, str | bytes):
        fields.append(("Content-Type", "application/json"))
    if not any(name.lower() == "transfer-encoding" for name, _ in fields):
        fields.append(("Content-Length", str(len(data))))
    lines = [f"HTTP/1.1 {status} Reason", *(f"{name}: {value}" for name, value in fields)]
    head = "\r\n".join([*lines, "", ""]).encode()
    return head + (b"" if seen.method == "HEAD" else data)


def _text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)
