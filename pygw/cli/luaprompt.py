"""Owns the Python half of lua/server/prompt.lua: Lua code of a prompt, run in a worker.

The caller's greenlet waits while it runs; the worker serves on.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

from gevent.event import AsyncResult

from pygw.cli.inprocess import InProcess
from pygw.hub.guard import no_switch


class LuaFailure(Exception):
    """Lua code failed; `str()` has its error and traceback."""


class LuaPrompt:
    """Runs code, one piece at a time; `interrupted` is set to have the present one end."""

    def __init__(self, worker: InProcess) -> None:
        self._post = worker.hub.post
        prompt = worker.runtime.eval('require "server.prompt"')
        self._functions = {name: prompt[name] for name in prompt}
        self._ended: AsyncResult = AsyncResult()
        self.interrupted = False
        with no_switch():
            self._functions["open"](self._on_end, _write, lambda: self.interrupted)

    def fault(self, code: str) -> str | None:
        """None when the code can be run, "more" when its end is missing, else what is wrong."""
        with no_switch():
            found = self._functions["fault"](_lua(code))
        return None if found is None else _python(found)

    def run(self, code: str) -> str | None:
        """Run it and return its results as text, None without any.

        Raises LuaFailure. KeyboardInterrupt in this greenlet ends the code, which fails then.
        """
        return self._run(code)[0]

    def value(self, code: str) -> Any:
        """Run it and return its first result, as JSON can say it. Raises LuaFailure."""
        fault = self.fault(code)
        if fault is not None:
            raise LuaFailure(fault)
        first = self._run(code)[1]
        with no_switch():
            text = self._functions["encoded"](first)
        return json.loads(_python(text)) if text is not None else None

    def close(self) -> None:
        """End the threads and sockets that the code has left behind."""
        with no_switch():
            self._functions["close"]()

    def _run(self, code: str) -> tuple[str | None, Any]:
        self._ended, self.interrupted = AsyncResult(), False
        self._post(partial(self._functions["run"], _lua(code)))
        while True:
            try:
                ok, text, first = self._ended.get()
                break
            except KeyboardInterrupt:
                self.interrupted = True
                self._post(self._functions["interrupt"])
        if not ok:
            raise LuaFailure(text)
        return text, first

    def _on_end(self, ok: bool, text: str | None, first: Any) -> None:
        self._ended.set((ok, None if text is None else _python(text), first))


def _write(text: str) -> None:
    sys.stdout.write(_python(text))
    sys.stdout.flush()


def _lua(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _python(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "replace")
