"""Owns what a test knows of the configuration that its gateway has applied."""

from __future__ import annotations

from gevent.event import Event

from pygw.hookspecs import ConfigChange, hookimpl


class Applied:
    """An extension that notes changes. `changed` is set for a moment with each."""

    def __init__(self) -> None:
        self.changed = Event()
        self._revisions: dict[str, int] = {}

    @hookimpl
    def pygw_config_change(self, change: ConfigChange) -> None:
        """A change was applied."""
        self._revisions[f"{change.directory[1:]}/{change.id}"] = change.revision
        self.changed.set()
        self.changed.clear()

    def has(self, key: str, revision: int) -> bool:
        """Whether the item, such as "routes/1", has been applied as it was at that revision."""
        return self._revisions.get(key, 0) >= revision
