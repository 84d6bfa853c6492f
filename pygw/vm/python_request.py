"""Owns one request as Python phases see it: their contexts, what they ask of it, its body.

Every question is a short call into Lua, made while no Lua frame is on the asker's stack and with
greenlet switches forbidden. Text crosses as UTF-8, and bytes that are none as surrogate escapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from gevent.event import AsyncResult

from pygw.hub.guard import no_switch
from pygw.hub.inline import InlineGreenlet
from pygw.hub.timers import TimerNode
from pygw.plugin import Context, RequestError
from pygw.services import Services
from pygw.vm.luajit import LuaError
from pygw.vm.python_stream import BodyStream


@dataclass(frozen=True)
class LuaSide:
    """What lua/server/python_plugins.lua and python_asks.lua offer, and the ways to reach it."""

    ask: Callable[..., Any]
    conf: Callable[[int], str]
    done: Callable[..., None]
    read_body: Callable[[int], None]
    consult: Callable[..., None]
    to_lua: Callable[[Any], Any]
    post: Callable[[Callable[[], None]], None]


class PythonRequest:
    """A request that a Python phase has seen, until Lua says that it is over.

    run: the number of the phase's run that is under way. waiting: the greenlets of runs that wait.
    deadlines: what ends them. reading: whether a run waits for the client to send the body, which
    is no fault of the plugin's. streams: body filters that are generators.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_contexts",
        "_lua",
        "_number",
        "deadlines",
        "reading",
        "rearm",
        "run",
        "streams",
        "waiting",
    )

    def __init__(self, number: int, lua: LuaSide) -> None:
        self._number, self._lua = number, lua
        self._contexts: dict[str, Context] = {}
        self._body: AsyncResult | None = None
        self._answer: AsyncResult | None = None
        self.run = 0
        self.waiting: dict[int, InlineGreenlet] = {}
        self.deadlines: dict[int, TimerNode] = {}
        self.reading = False
        self.rearm: Callable[[], None] | None = None
        self.streams: dict[tuple[str, int], BodyStream] = {}

    def context(self, plugin: str) -> Context:
        """The context of one plugin, the same in all its phases."""
        context = self._contexts.get(plugin)
        if context is None:
            context = self._contexts[plugin] = Context(self)
        return context

    def take_body(self, body: str | None) -> None:
        """Give the body to who waits for it."""
        if self._body is not None:
            self._body.set(body)

    def take_answer(self, ok: bool, value: str | None) -> None:
        """Give the answer to who has asked what may wait."""
        if self._answer is None or self._answer.ready():
            return
        if ok:
            self._answer.set(value)
        else:
            self._answer.set_exception(RequestError(str(value)))

    def end(self) -> None:
        """The request is over: whoever waits for its sake need not any more. Does not switch."""
        for greenlet in self.waiting.values():
            gevent.kill(greenlet)
        for stream in self.streams.values():
            stream.end()
        if self._body is not None and not self._body.ready():
            self._body.set_exception(RequestError("the request ended before its body had come"))

    def ask(self, operation: str, *arguments: Any) -> Any:
        """What the request answers at once. Raises RequestError."""
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

    def consult(self, operation: str, *arguments: Any) -> Any:
        """What the request's own task answers, and may wait for. Raises RequestError."""
        lua = self._lua
        self._answer = AsyncResult()
        converted = [lua.to_lua(each) for each in (operation, *arguments)]
        lua.post(partial(lua.consult, self.run, *converted))
        text = self._answer.get()
        return None if text is None else json.loads(text.encode("latin-1"))

    def read_body(self) -> bytes | None:
        """The request's body; waits for it."""
        body = self._ask_raw("get_body")
        if body is False:  # still on its way
            self._body = AsyncResult()
            self._lua.post(partial(self._lua.read_body, self.run))
            self.reading = True
            try:
                body = self._body.get()
            finally:
                self.reading = False
                if self.rearm is not None:
                    self.rearm()
        return None if body is None else body.encode("latin-1")


class InPhase:
    """The place of a phase that runs."""

    __slots__ = ("_name", "_phase", "_request", "services")

    def __init__(self, services: Services, request: PythonRequest, name: str, phase: str) -> None:
        self.services, self._request = services, request
        self._name, self._phase = name, phase

    def __str__(self) -> str:
        return f"plugin [{self._name}], phase {self._phase}"

    def describe(self) -> str:
        """The plugin, the phase, and what the error log says of the request."""
        try:
            of_request = str(self._request.ask("log_context"))
        except RequestError:
            of_request = ""  # it is over
        return f", plugin: {self._name}, phase: {self._phase}{of_request}"
