"""Owns one request as Python phases see it: their contexts, what they ask of it, its body.

Every question is a short call into Lua, made while no Lua frame is on the asker's stack and with
greenlet switches forbidden. Text crosses as UTF-8, and bytes that are none as surrogate escapes.
Until a phase waits, nobody else can change its request: what it is known to ask (see
python_phase.py) has come with its call, and what it sets goes with its answer, or before whatever
could see the difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import gevent
from gevent.event import AsyncResult

from pygw.hub.guard import GuardedHub
from pygw.hub.inline import InlineGreenlet
from pygw.hub.timers import TimerNode
from pygw.plugin import Context, RequestError
from pygw.vm.luajit import LuaError
from pygw.vm.python_phase import LEARNT, Phase
from pygw.vm.python_stream import BodyStream

# A header of the request is set with the end of the phase, unless its name is none of these: only
# then it may be refused.
_PLAIN = re.compile("(?!(?:host|content-length)$)[a-z0-9-]+", re.I)
_names: dict[str, bytes] = {}  # plain ones, as they cross
_MOST_NAMES = 1000
# After these what came with the call may not hold any more.
_CHANGES = frozenset(
    [f"{how}_request_header" for how in ("set", "add", "del")]
    + ["set_path", "set_query", "set_var", "set_body", "attach_consumer"]
)
_NONE: Any = MappingProxyType({})


@dataclass(frozen=True)
class LuaSide:
    """What lua/server/python_plugins.lua and python_asks.lua offer, and the ways to reach it."""

    ask: Callable[..., Any]
    conf: Callable[[int], str]
    phase: Callable[[int], tuple[str, str]]
    learn: Callable[[int, bytes, bytes], None]
    went: Callable[..., None]
    done: Callable[..., None]
    read_body: Callable[[int], None]
    consult: Callable[..., None]
    to_lua: Callable[[Any], Any]
    post: Callable[[Callable[[], None]], None]
    hub: GuardedHub


class PythonRequest:
    """A request that a Python phase has seen, until Lua says that it is over.

    run: the number of the phase's run that is under way. waiting: the greenlets of runs that wait.
    deadlines: what ends them. reading: whether a run waits for the client to send the body, which
    is no fault of the plugin's. streams: body filters that are generators. contexts: by plugin, the
    same in all its phases. phase: of a run that has not waited, None without; given: the answers
    that came with its call; writes: headers to set at its end (name, value, and so on).
    """

    is_over = reading = False
    rearm: Callable[[], None] | None = None
    run = 0
    waiting: dict[int, InlineGreenlet] = _NONE
    deadlines: dict[int, TimerNode] = _NONE
    streams: dict[tuple[str, int], BodyStream] = _NONE
    _body: AsyncResult | None = None
    _answer: AsyncResult | None = None
    phase: Phase | None = None
    given: tuple[str | None, ...] = ()
    writes: list[bytes] | None = None

    def __init__(self, number: int, lua: LuaSide) -> None:
        self._number, self._lua = number, lua
        self.contexts: dict[str, Context] = {}

    def settle(self) -> None:
        """From now on others may see the request, or change it. Raises RequestError."""
        self.phase = None
        if self.writes:
            self._flush()

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
        self.is_over = True
        if self.waiting:
            for greenlet in self.waiting.values():
                gevent.kill(greenlet)
        if self.streams:
            for stream in self.streams.values():
                stream.end()
        self.contexts.clear()  # what holds us: no work for the garbage collector
        self.rearm, self.streams = None, _NONE
        if self._body is not None and not self._body.ready():
            self._body.set_exception(RequestError("the request ended before its body had come"))

    def ask(self, operation: str, *arguments: Any) -> Any:
        """What the request answers at once. Raises RequestError."""
        phase = self.phase
        if phase is None or operation not in LEARNT:
            if operation in _CHANGES:
                self.given = ()
            return _text(self._ask_raw(operation, *arguments))
        at = phase.others.get(operation)
        if at is not None and at < len(self.given):
            return _text(self.given[at])
        value = self._ask_raw(operation)
        if at is None:
            phase.learn(operation)
        return _text(value)

    def get_header(self, name: str) -> str | None:
        """A field of the request, None without it. Raises RequestError."""
        phase = self.phase
        if phase is not None:
            at = phase.headers.get(name)
            if at is None:
                value = self._ask_raw("get_request_header", name)
                phase.learn("get_request_header", name)
                return None if value is None else _decoded(value)
            if at < len(self.given):
                found = self.given[at]
                return found if found is None or found.isascii() else _decoded(found)
        value = self._ask_raw("get_request_header", name)
        return None if value is None else _decoded(value)

    def set_header(self, name: str, value: str | Sequence[str]) -> None:
        """Set a field of the request. Raises RequestError."""
        phase = self.phase
        if phase is not None and phase.may_answer and type(value) is str:
            plain = _names.get(name) or _plain(name)
            if plain:
                self.given = ()
                write = plain, value.encode("utf-8", "surrogateescape")
                if self.writes is None:
                    self.writes = [*write]
                else:
                    self.writes += write
                return
        self.ask("set_request_header", name, value)

    def _flush(self) -> None:
        writes, self.writes = self.writes, None
        assert writes
        for at in range(0, len(writes), 2):
            self._ask_raw("set_request_header", writes[at], writes[at + 1])

    def _ask_raw(self, operation: str | bytes, *arguments: Any) -> Any:
        if self.writes:
            self._flush()
        lua, hub = self._lua, self._lua.hub
        before, hub.switch_forbidden = hub.switch_forbidden, True
        try:
            return lua.ask(self._number, operation, *map(lua.to_lua, arguments))
        except LuaError as error:
            raise RequestError(str(error)) from None
        finally:
            hub.switch_forbidden = before

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


def _plain(name: str) -> bytes | None:
    """The name as it crosses, None unless it is plain."""
    if not _PLAIN.fullmatch(name):
        return None
    encoded = name.encode()
    if len(_names) < _MOST_NAMES:
        _names[name] = encoded
    return encoded


def _text(value: Any) -> Any:
    """What Lua says, its text as UTF-8."""
    return _decoded(value) if isinstance(value, str) else value


def _decoded(text: str) -> str:
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")
