"""Owns what hangs on the debug hook of a Lua runtime under test: its budget, the lines that ran."""

from __future__ import annotations

from typing import Any

from pygw.testing import coverage

# A request through a dozen plugins takes some 50,000.
BUDGET = 20_000_000


class LuaHooks:
    """The hook of one runtime; budget: instructions until the next refill(), 0 for any number."""

    def __init__(self, runtime: Any, budget: int) -> None:
        self._coverage = coverage.active()
        self._functions: dict[str, Any] = {}
        if budget or self._coverage:
            module = runtime.eval('require "testing.hooks"')
            self._functions = {name: module[name] for name in module}
            self._functions["start"](budget, bool(self._coverage))

    def refill(self) -> None:
        """The budget is whole again."""
        if self._functions:
            self._functions["refill"]()

    def close(self) -> None:
        """Let go of Lua, and hand the lines that ran to coverage.py, if that measures."""
        functions, self._functions = self._functions, {}
        if self._coverage:
            coverage.add(self._coverage, functions["lines"]())
