"""Owns one request as Python phases see it: their contexts, what they ask of it, its body.

Every question is a short call into Lua, made while no Lua frame is on the asker's stack and with
greenlet switches forbidden. Text crosses as UTF-8, and bytes that are none as surrogate escapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from gevent.event import AsyncResult

from pygw.hub.guard import no_switch
from pygw.hub.inline import InlineGreenlet
from pygw.plugin import Context, RequestError
from pygw.vm.luajit import LuaError


@dataclass(frozen=True)
class LuaSide:
    """What lua/server/python_plugins.lua and python_asks.lua offer, and the ways to reach it."""

    ask: Callable[..., Any]
    conf: Callable[[int], str]
    done: Callable[..., None]
    read_body: Callable[[int], None]
    to_lua: Callable[[Any], Any]
    post: Callable[[Callable[[], None]], None]


class PythonRequest:
    """A request that a Python phase has seen, until Lua says that it is over.

    run: the number of the phase's run that is under way. waiting: the greenlets of runs that wait.
    """

    __slots__ = ("_body", "_contexts", "_lua", "_number", "run", "waiting")

    def __init__(self, number: int, lua: LuaSide) -> None:
        self._number, self._lua = number, lua
        self._contexts: dict[str, Context] = {}
        self._body: AsyncResult | None = None
        self.run = 0
        self.waiting: dict[int, InlineGreenlet] = {}

    def context(self, plugin: str) -> Context:
        """The context of one plugin, the same in all its phases."""
        context = self._contexts.get(plugin)
        if context is None:
            context = self._contexts[plugin] = Context(self._ask, self._read_body)
        return context

    def take_body(self, body: str | None) -> None:
        """Give the body to who waits for it."""
        if self._body is not None:
            self._body.set(body)

    def end(self) -> None:
        """The request is over: whoever waits for its sake need not any more. Does not switch."""
        for greenlet in self.waiting.values():
            gevent.kill(greenlet)
        if self._body is not None and not self._body.ready():
            self._body.set_exception(RequestError("the request ended before its body had come"))

    def _ask(self, operation: str, *arguments: Any) -> Any:
        value = self._ask_raw(operation, *arguments)
        if isinstance(value, str) and not value.isascii():
            return value.encode("latin-1").decode("utf-8", "surrogateescape")
        return value

    def _ask_raw(self, operation: str, *arguments: Any) -> Any:
        lua = self._lua
        try:
            with no_switch():
                return lua.ask(self._number, operation, *map(lua.to_lua, arguments))
        except LuaError as error:
            raise RequestError(str(error)) from None

    def _read_body(self) -> bytes | None:
        body = self._ask_raw("get_body")
        if body is False:  # still on its way
            self._body = AsyncResult()
            self._lua.post(partial(self._lua.read_body, self.run))
            body = self._body.get()
        return None if body is None else body.encode("latin-1")
