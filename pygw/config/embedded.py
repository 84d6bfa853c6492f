"""Owns the embedded back end: a SQLite file that all processes of a gateway share.

SQL runs in threads of gevent's pools, since a durable commit waits for the disk. Reads and writes
have a connection and a thread each, so that a writer that waits for another process holds up no
reader. After a commit the writer touches a file beside the store; inotify wakes every process, and
one greenlet in each reads what is new and hands it to the watches (docs/decisions/0003).
Must never block the hub.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gevent
from gevent.event import Event as Flag
from gevent.threadpool import ThreadPool

from pygw.config import inotify
from pygw.config.embedded_db import Database, Tail
from pygw.config.store import (
    Batch,
    Delete,
    Event,
    KeyValue,
    Put,
    Store,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from pygw.config.watch_queue import QueuedWatch

_NEVER = 1 << 62  # a revision that no store reaches
HISTORY = 10_000  # revisions that a watch can go back
MEMORY = ":memory:"

# A writer killed between its commit and its announcement is noticed at the next look.
_LOOK_AGAIN = 1.0
_LOOK_AGAIN_WITHOUT_INOTIFY = 0.02

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class EmbeddedStore(Store):
    """A store in the file `path` (":memory:": of this object alone), created when absent.

    Raises StoreRefused when the file is not a store or cannot be created.
    """

    def __init__(self, path: Path | str, *, history: int = HISTORY) -> None:
        self._watches: set[_EmbeddedWatch] = set()
        self._closed = False
        self._changed = Flag()
        self._bell = _Bell(str(path), self._changed.set)
        self._reader = _Lane(str(path), history)
        self._writer = self._reader if str(path) == MEMORY else _Lane(str(path), history)
        self._follower: Any = None
        try:
            for lane in {self._reader, self._writer}:
                lane.run(lane.database.prepare, self._bell.descriptor)
            self._seen = self._read_tail(_NEVER).revision
        except StoreError as error:
            self.close()
            raise StoreRefused(str(error)) from None
        self._follower = gevent.spawn(self._follow)

    def readdir(self, prefix: bytes) -> tuple[int, list[KeyValue]]:
        return self._reader.run(self._reader.database.readdir, prefix)

    def get(self, key: bytes) -> tuple[int, KeyValue | None]:
        return self._reader.run(self._reader.database.get, key)

    def put(self, key: bytes, value: bytes, ttl: int | None = None) -> int:
        return self.transact([Put(key, value, ttl)])[0]

    def put_leased(self, key: bytes, value: bytes, ttl: int) -> tuple[int, str]:
        revision = self.put(key, value, ttl)
        return revision, f"{revision}/{ttl}"

    def keep_alive(self, lease: str) -> int:
        revision, ttl = map(int, lease.split("/"))
        expires = time.time() + ttl
        return ttl if self._write(self._writer.database.keep_alive, revision, expires) else 0

    def delete(self, key: bytes) -> tuple[int, int]:
        write = self._writer.database.transact
        revision, _, deleted = self._write(write, [Delete(key)], (), time.time())
        return revision, deleted

    def delete_prefix(self, prefix: bytes) -> tuple[int, int]:
        return self._write(self._writer.database.delete_prefix, prefix)

    def transact(
        self, operations: Sequence[Put | Delete], unless_changed: Sequence[tuple[bytes, int]] = ()
    ) -> tuple[int, bool]:
        write = self._writer.database.transact
        revision, done, _ = self._write(write, operations, unless_changed, time.time())
        return revision, done

    def compact(self, revision: int) -> None:
        self._write(self._writer.database.compact, revision)

    def open_watch(self, prefix: bytes, start_revision: int) -> QueuedWatch:
        tail = self._read_tail(start_revision or _NEVER, prefix)
        start = start_revision or tail.revision + 1
        watch = _EmbeddedWatch(prefix, start, tail.revision, self._watches.discard)
        events = tail.events
        while tail.revision < self._seen:  # the follower went on during the read
            tail = self._read_tail(max(start, tail.revision + 1), prefix)
            events += tail.events
        if start < tail.compacted:
            watch.feed(Batch("compacted", tail.compacted))
        else:
            self._watches.add(watch)
            watch.offer(tail.revision, events)
        return watch

    def server_version(self) -> str:
        return f"embedded (SQLite {sqlite3.sqlite_version})"

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for watch in self._watches:
            watch.feed(Batch("closed", message="the store was closed"))
        self._watches.clear()
        self._changed.set()
        if self._follower is not None:
            self._follower.join()
        for lane in {self._reader, self._writer}:
            lane.close()
        self._bell.close()

    def _read_tail(self, start: int, prefix: bytes = b"") -> Tail:
        return self._reader.run(self._reader.database.tail, start, prefix)

    def _write(self, function: Callable[..., _T], *args: Any) -> _T:
        result: _T = self._writer.run(self._bell.ring_after, function, *args)
        self._changed.set()
        return result

    def _follow(self) -> None:
        """Bring what is new to the watches, whoever wrote it; delete what has expired."""
        pause, complaint = self._bell.look_again, ""
        while True:
            self._changed.wait(pause)
            if self._closed:
                return
            self._changed.clear()
            try:
                pause, complaint = self._catch_up(), ""
            except StoreError as error:
                pause = self._bell.look_again or _LOOK_AGAIN
                if str(error) != complaint and not self._closed:
                    complaint = str(error)
                    _log.error("the embedded store cannot be followed: %s", error)

    def _catch_up(self) -> float | None:
        """Publish what is new. Returns the seconds after which to look again unasked."""
        tail = self._read_tail(self._seen + 1)
        for watch in list(self._watches):
            if watch.next_revision < tail.compacted and tail.revision >= watch.next_revision:
                self._watches.discard(watch)
                watch.feed(Batch("compacted", tail.compacted))
            else:
                watch.offer(tail.revision, tail.events)
        self._seen = max(self._seen, tail.revision)
        if tail.next_expiry is None:
            return self._bell.look_again
        left = tail.next_expiry - time.time()
        if left <= 0:
            self._write(self._writer.database.expire, time.time())
            left = 0.0
        return min(left, self._bell.look_again or left)


class _EmbeddedWatch(QueuedWatch):
    """A watch that takes from the stream of all events what is its own and new to it."""

    def __init__(
        self, prefix: bytes, start: int, revision: int, on_cancel: Callable[[Any], None]
    ) -> None:
        super().__init__(revision, on_cancel)
        self._prefix = prefix
        self.next_revision = start

    def offer(self, revision: int, events: tuple[Event, ...]) -> None:
        """Take note that the store is at `revision`, after `events`."""
        mine = tuple(
            event
            for event in events
            if event.mod_rev >= self.next_revision and event.key.startswith(self._prefix)
        )
        self.next_revision = max(self.next_revision, revision + 1)
        if mine:
            self.feed(Batch("events", revision, mine))


class _Lane:
    """A connection and the one thread that uses it, in the order of asking."""

    def __init__(self, path: str, history: int) -> None:
        self._path = path
        self._pool: Any = ThreadPool(1)
        self._asked = 0  # greenlets that wait for the thread
        self._idle = Flag()
        self._closing = False
        self.database = self.run(Database, path, history)

    def run(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run function(*args) in the thread while this greenlet waits. Raises StoreError."""
        if self._closing:
            raise StoreUnavailable("the store was closed")
        self._asked += 1
        try:
            result, error = self._pool.apply(_caught, (function, args))
        finally:
            self._asked -= 1
            self._idle.set()
        if isinstance(error, sqlite3.OperationalError):
            raise StoreUnavailable(f"{self._path}: {error}") from error
        if isinstance(error, (sqlite3.Error, StoreError)):
            raise StoreRefused(f"{self._path}: {error}") from error
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        """Answer whoever has asked, then end: a killed pool would leave them waiting for ever."""
        self._closing = True
        while self._asked:
            self._idle.clear()
            self._idle.wait()
        self._pool.apply(_caught, (self.database.close, ()))
        self._pool.kill()


def _caught(function: Callable[..., _T], args: tuple[Any, ...]) -> Any:
    """Carry an exception over as a value: gevent would print it."""
    try:
        return function(*args), None
    except Exception as error:
        return None, error


class _Bell:
    """The file `<path>-changed` that writers touch and every process of the gateway watches.

    `look_again`: seconds after which a reader looks without having heard it; None: never.
    """

    def __init__(self, path: str, on_ring: Callable[[], None]) -> None:
        self.descriptor: int | None = None
        self.look_again: float | None = None
        self._inotify: inotify.Inotify | None = None
        if path != MEMORY:
            self._hang(Path(f"{path}-changed"), on_ring)

    def _hang(self, path: Path, on_ring: Callable[[], None]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreRefused(f"{path}: {error.strerror}") from None
        self.look_again = _LOOK_AGAIN
        try:
            self._inotify = inotify.Inotify([path], inotify.MODIFY, on_ring)
        except OSError as error:
            self.look_again = _LOOK_AGAIN_WITHOUT_INOTIFY
            _log.warning("no inotify for the embedded store (%s): it is polled", error)

    def ring_after(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run function(*args), a write that returns once durable, then wake every process."""
        result = function(*args)
        if self.descriptor is not None:
            os.pwrite(self.descriptor, b".", 0)
        return result

    def close(self) -> None:
        if self._inotify:
            self._inotify.close()
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
