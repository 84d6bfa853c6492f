"""Owns the check of what stands in a store: each item judged as a worker would judge it.

Must never write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pygw.check.configuration import LISTS
from pygw.check.judge import Judge
from pygw.check.links import broken_links
from pygw.config.settings import Settings
from pygw.config.store import KeyValue

_Items = dict[str, list[tuple[str, Any]]]  # directory -> (key without prefix, value)


def stored_faults(
    settings: Settings, judge: Judge, count: Callable[[str, int], None]
) -> Iterator[str]:
    """Everything that is wrong in the store, a line each: its key, and the fault.

    Other directories than those of resources are passed over. count: hears the prefix, and the
    number of items. Raises StoreError when the store cannot be read.
    """
    prefix = settings.etcd.prefix
    items: _Items = {}
    number = 0
    for key, value in _read(settings, prefix):
        directory = key.split("/")[1]
        if key.endswith("/") or not (directory in LISTS or directory in judge.directories):
            continue
        number += 1
        try:
            items.setdefault(directory, []).append((key, json.loads(value, strict=False)))
        except ValueError as error:
            yield f"{prefix}{key}: not valid JSON: {error}"
    count(prefix, number)
    yield from _faults(prefix, items, judge)


def _read(settings: Settings, prefix: str) -> Iterator[tuple[str, bytes]]:
    for each in _key_values(settings, f"{prefix}/".encode()):
        yield each.key.decode("utf-8", "replace")[len(prefix) :], each.value


def _key_values(settings: Settings, prefix: bytes) -> Sequence[KeyValue]:
    from pygw.config.choose import open_store

    if settings.provider == "embedded" and not settings.embedded_path.exists():
        return ()  # opened, it would be made
    store = open_store(settings)
    assert store is not None
    try:
        return store.readdir(prefix)[1]
    finally:
        store.close()


def _faults(prefix: str, items: _Items, judge: Judge) -> Iterator[str]:
    ids = {
        directory: {key[len(directory) + 2 :]: value for key, value in found}
        for directory, found in items.items()
    }
    for directory, found in items.items():
        tables = []
        for key, value in found:
            if isinstance(value, dict) or directory == "plugins":
                tables.append((key, value))
            else:
                yield f"{prefix}{key}: it should be an object"
        for number, faults in sorted(judge.judge(directory, tables).items()):
            for fault in faults:
                yield f"{prefix}{tables[number][0]}: {fault.message}"
        for key, value in tables:
            if isinstance(value, dict):
                for _, message in broken_links(directory, value, ids):
                    yield f"{prefix}{key}: {message}"
