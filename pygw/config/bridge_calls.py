"""Owns the store's entries in the bridge: plain values for Lua on one side, the store on the other.

Strings from Lua arrive as latin-1 str; keys and values go back as bytes. The awaited ones run in a
greenlet each and raise, which the bridge turns into `nil, message`. Must never know what a key is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from pygw.config.snapshot import Snapshot
from pygw.config.snapshot_calls import SnapshotCalls
from pygw.config.store import Event, KeyValue, Put, Store, Watch

Entries = dict[str, Callable[..., Any]]


def store_calls(store: Store, snapshot: Snapshot | None = None) -> tuple[Entries, Entries]:
    """Return the bridge's entries (immediate ones, awaited ones) for a store and its snapshot."""
    entries = _StoreEntries(store)
    copies = SnapshotCalls(
        snapshot, entries.readdir, lambda saved: _columns(saved.kvs, KeyValue._fields)
    )
    calls: Entries = {
        "store_watch_cancel": entries.watch_cancel,
        "store_keeps_snapshot": copies.keeps,
    }
    awaits: Entries = {
        "store_readdir": entries.readdir,
        "store_preload": copies.preload,
        "store_snapshot_save": copies.save,
        "store_get": entries.get,
        "store_put": entries.put,
        "store_put_if": entries.put_if,
        "store_put_leased": entries.put_leased,
        "store_keep_alive": store.keep_alive,
        "store_delete": entries.delete,
        "store_delete_prefix": entries.delete_prefix,
        "store_watch_open": entries.watch_open,
        "store_watch_next": entries.watch_next,
        "store_server_version": store.server_version,
    }
    return calls, awaits


class _StoreEntries:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._watches: dict[int, Watch] = {}
        self._ids = itertools.count(1)

    def readdir(self, prefix: str) -> tuple[Any, ...]:
        """-> revision, keys, values, create_revs, mod_revs, history"""
        history = self._store.history
        revision, kvs = self._store.readdir(_bytes(prefix))
        return revision, *_columns(kvs, KeyValue._fields), history

    def get(self, key: str) -> tuple[Any, ...]:
        """-> revision, value or nil, create_rev, mod_rev"""
        revision, kv = self._store.get(_bytes(key))
        return (revision, kv.value, kv.create_rev, kv.mod_rev) if kv else (revision, None, 0, 0)

    def put(self, key: str, value: str, ttl: float | None = None) -> int:
        """-> revision"""
        return self._store.put(_bytes(key), _bytes(value), _seconds(ttl))

    def put_if(
        self, key: str, value: str, mod_rev: float, ttl: float | None = None
    ) -> tuple[int, bool]:
        """-> revision, whether the key still had mod_rev (0: was absent) and was written"""
        name = _bytes(key)
        put = Put(name, _bytes(value), _seconds(ttl))
        return self._store.transact([put], [(name, int(mod_rev))])

    def put_leased(self, key: str, value: str, ttl: float) -> tuple[int, str]:
        """-> revision, the lease's id"""
        return self._store.put_leased(_bytes(key), _bytes(value), int(ttl))

    def delete(self, key: str) -> tuple[int, int]:
        """-> revision, number of keys deleted"""
        return self._store.delete(_bytes(key))

    def delete_prefix(self, prefix: str) -> tuple[int, int]:
        """-> revision, number of keys deleted"""
        return self._store.delete_prefix(_bytes(prefix))

    def watch_open(self, prefix: str, start_revision: float) -> tuple[int, int, str | None]:
        """-> watch_id, revision of the store when it confirmed the watch, its history"""
        watch = self._store.open_watch(_bytes(prefix), int(start_revision))
        watch_id = next(self._ids)
        self._watches[watch_id] = watch
        return watch_id, watch.revision, watch.history

    def watch_next(self, watch_id: float, timeout: float) -> tuple[Any, ...]:
        """-> "events", revision, types, keys, values, create_revs, mod_revs
        | "timeout" | "compacted", revision | "closed", message
        """
        watch = self._watches.get(int(watch_id))
        if watch is None:
            return "closed", "no such watch"
        batch = watch.next(float(timeout))
        if batch.kind == "events":
            return "events", batch.revision, *_columns(batch.events, Event._fields)
        if batch.kind == "timeout":
            return ("timeout",)
        self._watches.pop(int(watch_id), None)
        return batch.kind, batch.message if batch.kind == "closed" else batch.revision

    def watch_cancel(self, watch_id: float) -> bool:
        """-> whether there was such a watch"""
        watch = self._watches.pop(int(watch_id), None)
        if watch:
            watch.cancel()
        return watch is not None


def _columns(rows: Any, names: tuple[str, ...]) -> list[list[Any]]:
    """One list per field: far fewer objects cross than with a table per row."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in names]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _seconds(ttl: float | None) -> int | None:
    return None if ttl is None else int(ttl)
