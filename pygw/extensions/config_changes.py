"""Owns the way of configuration changes from Lua, which applies them, to the hooks that see them.

The hooks run in a greenlet of their own, one change after the other: one that blocks delays the
changes behind it, never a request. Must never change an item.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Literal

import gevent
from gevent.queue import Queue

from pygw.hookspecs import ConfigChange

log = logging.getLogger(__name__)


class Changes:
    """Delivers changes to `hook` (pluggy's caller of pygw_config_change) from `start` to `stop`.

    Those that come earlier wait for the start.
    """

    def __init__(self, hook: Any) -> None:
        self._hook = hook
        self._wanted = bool(hook.get_hookimpls())
        self._queue: Any = Queue()
        self._greenlet: Any = None
        self._known: set[tuple[str, str]] = set()

    def announce(self, directory: str, item_id: str, value: str | None, revision: float) -> bool:
        """The bridge's `config_changed`: value is JSON, None for a deleted item.

        Returns whether anybody listens; Lua asks no more when not.
        """
        if self._wanted:
            self._queue.put((directory, item_id, value, int(revision)))
        return self._wanted

    def start(self) -> None:
        """Begin to deliver."""
        if self._wanted:
            self._greenlet = gevent.spawn(self._deliver)

    def stop(self) -> None:
        """Deliver no more."""
        self._wanted = False
        if self._greenlet is not None:
            self._greenlet.kill()

    def _deliver(self) -> None:
        while True:
            directory, item_id, text, revision = self._queue.get()
            value = None if text is None else json.loads(text.encode("latin-1"), strict=False)
            change = ConfigChange(
                directory, _text(item_id), value, revision, self._action(directory, item_id, text)
            )
            try:
                self._hook(change=change)
            except Exception:
                log.exception("a pygw_config_change hook failed on %s/%s", directory, change.id)

    def _action(
        self, directory: str, item_id: str, text: str | None
    ) -> Literal["added", "changed", "removed"]:
        item = directory, item_id
        if text is None:
            self._known.discard(item)
            return "removed"
        if item in self._known:
            return "changed"
        self._known.add(item)
        return "added"


def _text(crossed: str) -> str:
    return crossed.encode("latin-1").decode("utf-8", "surrogateescape")
