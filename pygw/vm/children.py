"""Owns hearing of the end of processes that Lua code has started.

gevent's loop reaps every child of this process, so nobody else may wait for one by its pid: it is
asked to tell. Must never start, signal or wait for a process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.hub import get_hub


class Children:
    """Tells `exited(pid, status)`, in a callback of the hub whose `post` it is given.

    status: as of waitpid(2).
    """

    def __init__(
        self, post: Callable[[Callable[[], None]], None], exited: Callable[[int, int], None]
    ) -> None:
        self._post, self._exited = post, exited
        self._watchers: set[Any] = set()

    def expect(self) -> None:
        """Begin to hear of ends; to be called before the first child is started."""
        get_hub().loop.install_sigchld()

    def watch(self, pid: int) -> None:
        """Watch a child; to be called before the loop that has started it runs on."""
        watcher = get_hub().loop.child(pid, ref=False)
        self._watchers.add(watcher)
        watcher.start(self._ended, watcher)

    def close(self) -> None:
        """Tell of no more ends."""
        for watcher in self._watchers:
            _close(watcher)
        self._watchers.clear()

    def _ended(self, watcher: Any) -> None:
        pid, status = watcher.rpid, watcher.rstatus
        self._watchers.discard(watcher)
        _close(watcher)
        self._post(partial(self._exited, pid, status))


def _close(watcher: Any) -> None:
    watcher.stop()
    watcher.close()
