"""Owns the records of resources in the store: keys as APISIX lays them out, values as documents.

A value that is no JSON object is the store's fault, not the client's: it is named and logged. Must
never judge a document.
"""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from pygw.admin import documents
from pygw.admin.refusal import Refusal
from pygw.admin.secrecy import Secrecy
from pygw.config.store import Delete, KeyValue, Put, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """An item of a directory; `id` is its key below the directory."""

    id: str
    key: str
    value: dict[str, Any]
    created: int
    modified: int

    def shown(self, hidden: Set[str] = frozenset()) -> dict[str, Any]:
        """As APISIX 3 shows it, but for the hidden fields."""
        return {
            "key": self.key,
            "value": {name: item for name, item in self.value.items() if name not in hidden},
            "createdIndex": self.created,
            "modifiedIndex": self.modified,
        }


class Records:
    """The store seen as directories of documents, below the prefix of the configuration.

    What is encrypted in the store is read plain; who writes has it encrypted first.
    """

    def __init__(self, store: Store, prefix: str, secrecy: Secrecy) -> None:
        self._store, self._prefix, self._secrecy = store, prefix, secrecy

    def key(self, path: str) -> str:
        """The whole key of a path such as "routes/1"."""
        return f"{self._prefix}/{path}"

    def get(self, path: str) -> Record | None:
        """One record. Raises Refusal (500) when what is stored there is no document."""
        _, found = self._store.get(self.key(path).encode())
        if found is None:
            return None
        try:
            return self._record(path, found)
        except ValueError as error:
            reason = f"the value of {self.key(path)} in the store is unusable: {error}"
            raise Refusal(500, reason) from None

    def before(self, path: str) -> tuple[dict[str, Any], int]:
        """What a write would replace, {} if it is unusable, and its revision, 0 if it is absent."""
        _, found = self._store.get(self.key(path).encode())
        if found is None:
            return {}, 0
        try:
            return self._record(path, found).value, found.mod_rev
        except ValueError:
            return {}, found.mod_rev

    def modified(self, path: str) -> int:
        """The revision that last changed a key; 0 when it does not exist."""
        return self.before(path)[1]

    def list(self, directory: str, depth: int = 1) -> list[Record]:
        """The records `depth` segments below a directory, by key.

        Unusable values are logged and left out, as is the marker that APISIX puts at a directory.
        """
        start = self.key(f"{directory}/")
        _, found = self._store.readdir(start.encode())
        records = []
        for kv in found:
            item_id = kv.key.decode("utf-8", "replace").removeprefix(start)
            if not item_id or item_id.count("/") != depth - 1:
                continue
            try:
                records.append(self._record(f"{directory}/{item_id}", kv, item_id))
            except ValueError as error:
                log.error("the value of %s%s in the store is unusable: %s", start, item_id, error)
        return records

    def revision(self) -> int:
        """The store's revision now."""
        revision, _ = self._store.get(self.key("").encode())
        return revision

    def write(
        self,
        path: str,
        value: dict[str, Any],
        expected: int,
        ttl: int | None = None,
        also: tuple[str, int] | None = None,
    ) -> bool:
        """Write a document if its key still has revision `expected` (0: does not exist).

        also: another path and its revision, which must not have changed either.
        """
        unless = [(self.key(path).encode(), expected)]
        if also:
            unless.append((self.key(also[0]).encode(), also[1]))
        put = Put(unless[0][0], documents.write(value), ttl)
        return self._store.transact([put], unless)[1]

    def put(self, path: str, value: Any) -> None:
        """Write a value of any kind, whatever was there."""
        self._store.put(self.key(path).encode(), documents.write(value))

    def delete(self, path: str) -> bool:
        """Remove a key; returns False when it does not exist."""
        return self._store.delete(self.key(path).encode())[1] > 0

    def delete_tree(self, path: str) -> bool:
        """Remove a key and all below it as one revision; returns False when it does not exist.

        Nothing can come in below it meanwhile: `write(also=…)` sees that the key changed.
        """
        key = self.key(path).encode()
        while expected := self.modified(path):
            _, below = self._store.readdir(key + b"/")
            removals = [Delete(key), *(Delete(kv.key) for kv in below)]
            if self._store.transact(removals, [(key, expected)])[1]:
                self._store.delete_prefix(key + b"/")  # written between the reading and the removal
                return True
        return False

    def _record(self, path: str, kv: KeyValue, item_id: str | None = None) -> Record:
        value = documents.read(kv.value)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        directory, _, own = path.partition("/")
        short = own if item_id is None else item_id
        value = self._secrecy.opened(directory, short, value)
        return Record(short, self.key(path), value, kv.create_rev, kv.mod_rev)
