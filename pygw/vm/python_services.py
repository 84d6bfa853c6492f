"""Owns what a worker offers Python plugins beside requests: Lua's entries, timers, metadata.

The Python half of lua/server/python_services.lua. Must never wait.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable
from typing import Any

import gevent

from pygw.extensions.schema import convert, is_typed
from pygw.extensions.services import SharedDictError, Timer, place
from pygw.hub.guard import no_switch
from pygw.hub.timers import NgxTimers
from pygw.plugin import Plugin
from pygw.vm.bridge import Bridge
from pygw.vm.luajit import LuaError

log = logging.getLogger(__name__)


class WorkerServices:
    """What `pygw.extensions.services` asks for; timers that run end with `close`."""

    def __init__(self, bridge: Bridge, timers: NgxTimers) -> None:
        self._bridge, self._timers = bridge, timers
        self._names = itertools.count(1)
        self._running: set[gevent.Greenlet] = set()
        self._metadata: dict[str, tuple[Any, Any]] = {}

    def call(self, entry: str, *arguments: Any) -> Any:
        """Ask a Lua entry, at once. Raises SharedDictError with what Lua says."""
        try:
            with no_switch():
                value = self._bridge.entries[entry](*map(self._bridge.to_lua, arguments))
        except LuaError as error:
            raise SharedDictError(str(error)) from None
        if isinstance(value, str) and not value.isascii():
            return value.encode("latin-1").decode("utf-8", "surrogateescape")
        return value

    def metadata(self, plugin: Plugin) -> Any:
        """What /plugin_metadata says of the plugin now."""
        typed = is_typed(plugin.metadata_schema)
        version, value = self._metadata.get(plugin.name, (-1, None))
        with no_switch():
            answer = self._bridge.entries["python_metadata"](plugin.name.encode(), version)
        if answer is None:
            return None if typed else {}
        if not isinstance(answer, tuple):
            return value
        version, text = answer
        value = json.loads(text.encode("latin-1"))
        value = convert(plugin.metadata_schema, value) if typed else value
        self._metadata[plugin.name] = version, value
        return value

    def start_timer(
        self, delay: float, again: bool, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Timer:
        """Run function(*arguments) later. Raises RuntimeError when that cannot be."""
        name = ("python", next(self._names))
        timer = Timer(lambda: self._timers.end(name))
        running: list[gevent.Greenlet] = []

        def run(premature: bool, done: Callable[[], None]) -> None:
            if premature or timer.cancelled or running:
                done()
                return
            greenlet = gevent.Greenlet(self._run, function, arguments)
            running.append(greenlet)
            self._running.add(greenlet)

            def over(ended: gevent.Greenlet) -> None:
                running.remove(ended)
                self._running.discard(ended)
                done()

            greenlet.rawlink(over)
            greenlet.start()

        start = self._timers.every if again else self._timers.at
        fault = start(delay, run, name=name)
        if fault is not None:
            raise RuntimeError(f"the timer cannot be started: {fault}")
        return timer

    def close(self) -> None:
        """End what timers still do."""
        for greenlet in list(self._running):
            greenlet.kill(block=False)

    def _run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        pygw_culprit = _InTimer(self, function)  # the watchdog finds it
        place.set(pygw_culprit)
        try:
            function(*arguments)
        except Exception:
            log.exception("a timer of a Python plugin failed (%s)", _name(function))


class _InTimer:
    """The place of code that a timer runs."""

    def __init__(self, services: WorkerServices, function: Callable[..., Any]) -> None:
        self.services, self._function = services, function

    def __str__(self) -> str:
        return f"a Python timer ({_name(self._function)})"

    def describe(self) -> str:
        return f", timer: {_name(self._function)}"


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
