"""Owns the embedded store's SQL: current keys, the history that watches read, revisions.

Every function runs in a thread of its lane (embedded.py) and may block there. One transaction per
call; an error leaves nothing half done. Must never know of gevent.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from pygw.config.store import Delete, Event, KeyValue, Put, StoreRefused, prefix_end

_FORMAT = 1  # PRAGMA user_version of the files that this code reads and writes
_BUSY_TIMEOUT = 10.0  # seconds to wait for another process's write

_SCHEMA = f"""
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,  -- of the last change; 1 in an empty store, as in etcd
    compacted INTEGER NOT NULL  -- the oldest revision that a watch can begin with
);
CREATE TABLE kv (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL,
    create_rev INTEGER NOT NULL,
    mod_rev INTEGER NOT NULL,
    expires REAL  -- wall time in seconds
);
CREATE INDEX kv_expires ON kv (expires) WHERE expires IS NOT NULL;
CREATE TABLE event (
    revision INTEGER NOT NULL,
    sub INTEGER NOT NULL,  -- position among the changes of that revision
    type TEXT NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    create_rev INTEGER NOT NULL,
    PRIMARY KEY (revision, sub)
) WITHOUT ROWID;
INSERT INTO state VALUES (1, 1, 1);
PRAGMA user_version = {_FORMAT};
"""

_KEY_RANGE = "key >= ? AND (key < ? OR ? = x'00')"


class Tail(NamedTuple):
    """What happened from some revision on; `next_expiry` is wall time in seconds."""

    revision: int
    compacted: int
    events: tuple[Event, ...]
    next_expiry: float | None


def _create(path: str) -> None:
    """Make a new file its owner's alone: it holds secrets, and SQLite's others take its mode.

    One that is there is not touched: to close it would end SQLite's locks on it. What cannot be
    made SQLite says.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


class Database:
    """One connection to the file; `history` is how many revisions watches can go back."""

    def __init__(self, path: str, history: int) -> None:
        self._history = history
        if path != ":memory:":
            _create(path)
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )

    def prepare(self, lock: int | None) -> None:
        """Set the connection up and, if the file is new, create what is in it.

        `lock`: descriptor of a file that processes lock while they do this.
        """
        if lock is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # a commit survives power loss
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
            if found == 0:
                self._connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
            elif found != _FORMAT:
                raise StoreRefused(f"the file has format {found}, this pygw knows {_FORMAT}")
        finally:
            if lock is not None:
                fcntl.flock(lock, fcntl.LOCK_UN)

    def close(self) -> None:
        self._connection.close()

    def readdir(self, prefix: bytes) -> tuple[int, list[KeyValue]]:
        with self._transaction("DEFERRED"):
            revision, _ = self._state()
            rows = self._connection.execute(
                f"SELECT key, value, create_rev, mod_rev FROM kv WHERE {_KEY_RANGE} ORDER BY key",
                _range(prefix),
            )
            return revision, [KeyValue(*row) for row in rows]

    def get(self, key: bytes) -> tuple[int, KeyValue | None]:
        with self._transaction("DEFERRED"):
            return self._state()[0], self._get(key)

    def tail(self, start: int, prefix: bytes = b"") -> Tail:
        """The events under `prefix` from revision `start` on."""
        with self._transaction("DEFERRED"):
            revision, compacted = self._state()
            rows = self._connection.execute(
                "SELECT type, key, value, create_rev, revision FROM event"
                f" WHERE revision >= ? AND {_KEY_RANGE} ORDER BY revision, sub",
                (start, *_range(prefix)),
            )
            events = tuple(Event(*row) for row in rows)
            # The condition, which changes nothing, has SQLite use the index of those that expire.
            (expiry,) = self._connection.execute(
                "SELECT min(expires) FROM kv WHERE expires IS NOT NULL"
            ).fetchone()
            return Tail(revision, compacted, events, expiry)

    def transact(
        self,
        operations: Sequence[Put | Delete],
        unless_changed: Sequence[tuple[bytes, int]],
        now: float,
    ) -> tuple[int, bool, int]:
        """Apply operations as one revision; `now` is wall time. Also returns the keys deleted."""
        with self._transaction("IMMEDIATE"):
            for key, mod_rev in unless_changed:
                kv = self._get(key)
                if (kv.mod_rev if kv else 0) != mod_rev:
                    return self._state()[0], False, 0
            return self._apply(operations, now)

    def delete_prefix(self, prefix: bytes) -> tuple[int, int]:
        with self._transaction("IMMEDIATE"):
            rows = self._connection.execute(
                f"SELECT key FROM kv WHERE {_KEY_RANGE} ORDER BY key", _range(prefix)
            )
            revision, _, deleted = self._apply([Delete(key) for (key,) in rows], 0.0)
            return revision, deleted

    def keep_alive(self, revision: int, expires: float) -> bool:
        """Move the end of what a revision wrote with a ttl. Returns whether it is there."""
        with self._transaction("IMMEDIATE"):
            cursor = self._connection.execute(
                "UPDATE kv SET expires = ? WHERE mod_rev = ? AND expires IS NOT NULL",
                (expires, revision),
            )
            return cursor.rowcount > 0

    def expire(self, now: float) -> int:
        """Delete the keys whose time is over, as one revision. Returns how many."""
        with self._transaction("IMMEDIATE"):
            rows = self._connection.execute("SELECT key FROM kv WHERE expires <= ?", (now,))
            return self._apply([Delete(key) for (key,) in rows], now)[2]

    def compact(self, revision: int) -> None:
        with self._transaction("IMMEDIATE"):
            current, compacted = self._state()
            if revision > current:
                raise StoreRefused("required revision is a future revision")
            if revision > compacted:
                self._forget_before(revision)

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk makes SQLite roll back by itself
                self._connection.execute("ROLLBACK")
            raise

    def _state(self) -> tuple[int, int]:
        row: tuple[int, int] = self._connection.execute(
            "SELECT revision, compacted FROM state"
        ).fetchone()
        return row

    def _get(self, key: bytes) -> KeyValue | None:
        row = self._connection.execute(
            "SELECT key, value, create_rev, mod_rev FROM kv WHERE key = ?", (key,)
        ).fetchone()
        return KeyValue(*row) if row else None

    def _apply(self, operations: Sequence[Put | Delete], now: float) -> tuple[int, bool, int]:
        revision, compacted = self._state()
        events: list[Event] = []
        for operation in operations:
            if isinstance(operation, Put):
                events.append(self._put(operation, revision + 1, now))
            elif self._delete(operation.key):
                events.append(Event("DELETE", operation.key, b"", 0, revision + 1))
        if not events:
            return revision, True, 0
        revision += 1
        self._connection.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)",
            [(revision, i, e.type, e.key, e.value, e.create_rev) for i, e in enumerate(events)],
        )
        self._connection.execute("UPDATE state SET revision = ?", (revision,))
        if revision - compacted >= 2 * self._history:
            self._forget_before(revision - self._history)
        return revision, True, sum(event.type == "DELETE" for event in events)

    def _put(self, put: Put, revision: int, now: float) -> Event:
        old = self._get(put.key)
        create_rev = old.create_rev if old else revision
        expires = None if put.ttl is None else now + put.ttl
        self._connection.execute(
            "INSERT OR REPLACE INTO kv VALUES (?, ?, ?, ?, ?)",
            (put.key, put.value, create_rev, revision, expires),
        )
        return Event("PUT", put.key, put.value, create_rev, revision)

    def _delete(self, key: bytes) -> bool:
        cursor = self._connection.execute("DELETE FROM kv WHERE key = ?", (key,))
        return cursor.rowcount > 0

    def _forget_before(self, revision: int) -> None:
        self._connection.execute("DELETE FROM event WHERE revision < ?", (revision,))
        self._connection.execute("UPDATE state SET compacted = ?", (revision,))


def _range(prefix: bytes) -> tuple[bytes, bytes, bytes]:
    end = prefix_end(prefix)
    return prefix, end, end
