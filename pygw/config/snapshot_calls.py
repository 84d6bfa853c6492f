"""Owns the snapshot's entries in the bridge, and a start's choice between store and snapshot.

Must never let a start wait long for an etcd that does not answer when there is a snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

from pygw.config.snapshot import Saved, Snapshot
from pygw.config.store import StoreError, StoreUnavailable

_PATIENCE = 2.0  # seconds for which a start waits for etcd when it could go on without

# Reads the keys under a prefix: revision, columns…, history (see bridge_calls).
Read = Callable[[str], tuple[Any, ...]]


class SnapshotCalls:
    """`snapshot` is None for a store that keeps none."""

    def __init__(
        self,
        snapshot: Snapshot | None,
        read: Read,
        columns: Callable[[Saved], list[list[Any]]],
    ) -> None:
        self._snapshot, self._read, self._columns = snapshot, read, columns

    def keeps(self) -> bool:
        """-> whether snapshots are kept"""
        return self._snapshot is not None

    def save(self, refused: str) -> float:
        """-> seconds it took; `refused`: keys whose last good data is to stay, each after NUL"""
        assert self._snapshot
        return self._snapshot.save(frozenset(refused.encode("latin-1").split(b"\0")[1:]))

    def preload(self, prefix: str) -> tuple[Any, ...]:
        """-> as store_readdir, then nil, or what to say of the snapshot that was taken instead"""
        if self._snapshot is None or not self._snapshot.path.exists():
            return *self._read(prefix), None
        reading = gevent.spawn(_attempt, self._read, prefix)
        reading.join(timeout=_PATIENCE)
        result = reading.value if reading.dead else StoreUnavailable("etcd does not answer")
        if isinstance(result, tuple):
            return *result, None
        saved = self._snapshot.load() if isinstance(result, StoreUnavailable) else None
        if saved is None:
            raise result
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(saved.at))
        told = f"{result}; until it answers, the configuration of {when} is served"
        told += f", revision {saved.revision} in {self._snapshot.path}"
        return saved.revision, *self._columns(saved), "snapshot", told


def _attempt(read: Read, prefix: str) -> tuple[Any, ...] | StoreError:
    try:
        return read(prefix)
    except StoreError as error:
        return error
