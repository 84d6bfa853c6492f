"""Owns what a test sees of a gateway from within: Lua's values, which cross as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


class LuaError(Exception):
    """Lua code of a test failed; the message is Lua's."""


@dataclass(frozen=True)
class Open:
    """What is open in a gateway.

    timers: of ngx.timer. coroutines: requests, timers and light threads that have not ended.
    shared_entries: of all shared dictionaries. memory: Lua's, in KiB.
    """

    timers: int
    sockets: int
    coroutines: int
    shared_entries: int
    memory: float


class Inside:
    """Looks into one Lua runtime."""

    def __init__(self, runtime: Any) -> None:
        probe = runtime.eval('require "testing.probe"')
        self._functions = {name: probe[name] for name in probe}

    def watch(self, seed: int) -> None:
        """Keep the context of requests from now on; chance begins at `seed`."""
        self._functions["watch"](seed)

    def context(self) -> dict[str, Any]:
        """`api_ctx` of the last request, as its log phase found it; {} before the first."""
        return json.loads(self._text("context")) or {}

    def lua(self, code: str) -> Any:
        """Run Lua code, such as "return ngx.shared.x:get('k')", outside of any request.

        Returns its result, a list of several. What waits (sockets, ngx.sleep) cannot be called.
        Raises LuaError.
        """
        results = json.loads(self._text("evaluate", code))
        return results[0] if len(results) == 1 else results or None

    def progress(self, key: str) -> tuple[int, int] | None:
        """How far "routes/1" has come: the revision up to which its directory has been dealt with,
        and that of the item, 0 for none. None: nobody follows the directory."""
        directory, _, name = key.partition("/")
        found = self._functions["progress"](directory, name.encode().decode("latin-1"))
        return (int(found[0]), int(found[1])) if isinstance(found, tuple) else None

    def has_plugin(self, name: str) -> bool:
        """Whether a plugin of that name is loaded."""
        return bool(self._functions["has_plugin"](name))

    def shared(self, name: str) -> dict[str, Any]:
        """The entries of a shared dictionary. Raises KeyError when there is none of that name."""
        text = self._functions["shared"](name)
        if text is None:
            raise KeyError(f"no shared dictionary {name}")
        return dict(json.loads(_decoded(text)) or {})

    def waits_for_io(self) -> bool:
        """Whether anything waits for a socket but those of the clients."""
        return bool(self._functions["waits_for_io"]())

    def open(self) -> Open:
        """What is open now, after a collection of garbage."""
        return Open(**json.loads(self._text("open")))

    def _text(self, name: str, *args: str) -> str:
        try:
            found = self._functions[name](*(arg.encode().decode("latin-1") for arg in args))
        except Exception as error:
            raise LuaError(_decoded(str(error))) from None
        if isinstance(found, tuple):
            raise LuaError(_decoded(found[1]))
        return _decoded(found)


def _decoded(text: str) -> str:
    """Lua's bytes cross as latin-1."""
    return text.encode("latin-1").decode("utf-8", "replace")
