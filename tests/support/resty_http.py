"""Servers and clients of the tests of resty.http."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.lua_console import LuaConsole
from support.upstream import Conversation, Script, Upstream

Run = Callable[[Script, str], Any]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONNECT = 'assert(httpc:connect{ scheme = "http", host = "127.0.0.1", port = port })'


class Recorder:
    """A script that keeps the requests, bodies by Content-Length too, and answers `response`."""

    def __init__(self, response: bytes = OK) -> None:
        self.response = response
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    def __call__(self, conversation: Conversation) -> None:
        for head in conversation.requests():
            self.heads.append(head.decode("latin-1"))
            self.bodies.append(conversation.read_exactly(int(self.field("content-length") or 0)))
            conversation.send(self.response)

    def field(self, name: str) -> str | None:
        """The field of this name of the last request."""
        for line in self.heads[-1].split("\r\n")[1:]:
            found, _, value = line.partition(": ")
            if found.lower() == name:
                return value
        return None

    @property
    def line(self) -> str:
        return self.heads[-1].split("\r\n")[0]


def runner(console: LuaConsole, upstream: Callable[[Script], Upstream], connected: bool) -> Run:
    """run(script, code): `code` has `port`, `uri`, `http` and `httpc`, a client."""

    def start(script: Script, code: str) -> Any:
        server = upstream(script)
        answer = console.run(f"""
            local port = {server.port}
            local uri = "http://127.0.0.1:" .. port
            local http = require "resty.http"
            local httpc = assert(http.new())
            httpc:set_timeouts(5000, 5000, 5000)
            {CONNECT if connected else ""}
            {code}
        """)
        assert not server.errors
        return answer

    return start
