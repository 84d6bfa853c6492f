"""Owns the reader's side of a watch: batches queue up here until next() takes them.

Both back ends feed it from the hub's thread. Must never know where batches come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.queue import Empty, Queue

from pygw.config.store import Batch, Watch


class QueuedWatch(Watch):
    """A watch that is fed; `on_cancel(watch)` is called once if its reader ends it."""

    def __init__(self, revision: int, on_cancel: Callable[[QueuedWatch], None]) -> None:
        self.revision = revision
        self._on_cancel = on_cancel
        self._batches: Any = Queue()
        self._over: Batch | None = None

    def __repr__(self) -> str:
        state = self._over.message if self._over else "open"
        return f"<{type(self).__name__} since revision {self.revision}: {state}>"

    def feed(self, batch: Batch) -> None:
        """Hand over a batch. One that is not "events" is the last: after it come only "closed"."""
        if self._over:
            return
        if batch.kind != "events":
            self._over = Batch("closed", message=batch.message or f"the watch was {batch.kind}")
        self._batches.put_nowait(batch)

    def next(self, timeout: float) -> Batch:
        if self._over and self._batches.empty():
            return self._over
        try:
            batch: Batch = self._batches.get(timeout=timeout)
        except Empty:
            return Batch("timeout")
        return batch

    def cancel(self) -> None:
        if not self._over:
            self.feed(Batch("closed", message="the watch was cancelled"))
            self._on_cancel(self)
