"""Owns the looking through of a cache's files: the old ones go, then those unused for longest.

Runs in a thread, since directories may be large. Must never touch Lua.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import gevent

_NAME = re.compile(r"[0-9a-f]{32}(\.\d+\.\d+)?")  # with a tail while it is written
_UNFINISHED = 3600.0  # seconds after which nobody is writing a file any more


class _Found(NamedTuple):
    used: float
    size: int
    path: str


def sweep_cache(path: str, max_size: float, inactive: float) -> bool:
    """Have the files of the cache in `path` take max_size bytes at most; wait until they do.

    inactive: seconds that a file may lie unused. Returns True.
    """
    gevent.get_hub().threadpool.apply(_sweep, (path, max_size, inactive, time.time()))
    return True


def _sweep(path: str, max_size: float, inactive: float, now: float) -> None:
    kept = []
    for found in _files(path):
        unfinished = "." in os.path.basename(found.path)
        if found.used < now - (_UNFINISHED if unfinished else inactive):
            _remove(found)
        elif not unfinished:
            kept.append(found)
    total = sum(found.size for found in kept)
    for found in sorted(kept):
        if total <= max_size:
            break
        _remove(found)
        total -= found.size


def _files(path: str) -> Iterator[_Found]:
    for directory, _, names in os.walk(path):
        for name in filter(_NAME.fullmatch, names):
            full = os.path.join(directory, name)
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(full)
                yield _Found(status.st_mtime, status.st_size, full)


def _remove(found: _Found) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(found.path)
