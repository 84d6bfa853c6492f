"""Owns the way of events from Lua and the error log to the hooks that see them.

The hooks run in a greenlet of their own, one event after the other: one that blocks delays the
events behind it, never a request. Must never keep more events than a bound.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from typing import Any

import gevent
import pluggy
from gevent.event import Event

from pygw.hookspecs import LogRecord, PluginInfo

log = logging.getLogger(__name__)

_LEVELS = ("stderr", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
_MOST = 10_000  # events that wait; a hook that is slower than that loses the oldest


def implemented(manager: pluggy.PluginManager) -> list[str]:
    """The hooks that somebody implements."""
    return sorted(name for name, hook in vars(manager.hook).items() if hook.get_hookimpls())


class HookCalls:
    """Delivers events to the hooks of `manager` from `start` to `stop`; earlier ones wait.

    What a hook itself logs while it runs is no event for hooks: it would never end.
    """

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._hook = manager.hook
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._there = Event()
        self._greenlet: Any = None
        self._lost = 0
        self._wanted = set(implemented(manager))

    @property
    def wants_log(self) -> bool:
        """Whether anybody implements pygw_log_record."""
        return "pygw_log_record" in self._wanted

    def on_plugin(
        self, name: str, version: float | str, priority: float, language: Any, again: bool
    ) -> None:
        """The bridge's `plugin_loaded`."""
        event = "pygw_plugin_reloaded" if again else "pygw_plugin_loaded"
        self._put(event, plugin=PluginInfo(name, version, priority, language))

    def on_line(self, level: float, when: float, text: str) -> None:
        """The bridge's `log_record`: a line that Lua has written."""
        message = text.encode("latin-1").decode("utf-8", "surrogateescape")
        self._put_record(LogRecord(_LEVELS[int(level)], message, when, os.getpid()))

    def on_record(self, level: str, message: str) -> None:
        """A line that Python has written."""
        self._put_record(LogRecord(level, message, time.time(), os.getpid()))

    def _put_record(self, record: LogRecord) -> None:
        if self._greenlet is None or gevent.getcurrent() is not self._greenlet:
            self._put("pygw_log_record", record=record)

    def _put(self, name: str, **arguments: Any) -> None:
        if name not in self._wanted:
            return
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append((name, arguments))
        self._there.set()

    def start(self) -> None:
        """Begin to deliver."""
        if self._wanted:
            self._greenlet = gevent.spawn(self._deliver)

    def stop(self, patience: float = 1.0) -> None:
        """Deliver what waits, for at most that many seconds, and then no more."""
        if self._greenlet is not None:
            with gevent.Timeout(patience, False):
                while self._waiting:
                    gevent.sleep(0)
            self._greenlet.kill()
        self._wanted.clear()

    def _deliver(self) -> None:
        while True:
            self._there.wait()
            self._there.clear()
            while self._waiting:
                name, arguments = self._waiting[0]
                try:
                    getattr(self._hook, name)(**arguments)
                except Exception:
                    log.exception("a %s hook failed", name)
                if self._waiting and self._waiting[0][1] is arguments:
                    self._waiting.popleft()
                self._tell_of_lost()

    def _tell_of_lost(self) -> None:
        if self._lost:
            log.error("hooks are too slow: %d events were not delivered", self._lost)
            self._lost = 0
