"""Owns the copy of the configuration on this machine, for a start while etcd is away.

A file of JSON lines: where it came from, then a key each. It is as secret as the store, hence for
its owner's eyes alone, and replaced as a whole. Must never be read while etcd answers, nor be
written from anything but what etcd holds.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import gevent
from gevent.hub import get_hub

from pygw.config.store import Compacted, KeyValue

Pages = Callable[[bytes, int], Iterator[tuple[int, list[KeyValue]]]]

_FORMAT = 1
_PAGE = 200  # keys between two moments in which requests go on
_MODE = 0o600

_log = logging.getLogger(__name__)


class Saved(NamedTuple):
    """What a snapshot holds; `at` is the time of its writing, in seconds since 1970."""

    revision: int
    kvs: list[KeyValue]
    at: float


class Snapshot:
    """The file `path`, for the keys under `prefix` of the cluster at `hosts`.

    `pages(prefix, size)` reads what is to be saved; see EtcdStore.pages.
    """

    def __init__(self, path: Path, prefix: str, hosts: Sequence[str], pages: Pages) -> None:
        self.path = path
        self._prefix, self._hosts, self._pages = prefix, list(hosts), pages

    def load(self) -> Saved | None:
        """What was saved last; None when nothing was, or not from this prefix and cluster."""
        try:
            with self.path.open("rb") as file:
                head = json.loads(file.readline())
                if not self._is_ours(head):
                    return None
                kvs = [_parsed(line) for line in file]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            _log.error("the snapshot %s of the configuration cannot be used: %s", self.path, error)
            return None
        return Saved(head["revision"], kvs, head["saved_at"])

    def save(self, refused: Collection[bytes] = ()) -> float:
        """Write what etcd holds now; of keys in `refused` what the last snapshot has, if anything.

        Returns how many seconds it took. Raises StoreError, or OSError when the file cannot be.
        """
        start = time.monotonic()
        saved = self.load() if refused else None
        good = {kv.key: kv for kv in saved.kvs if kv.key in refused} if saved else {}
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            while not self._written(beside, refused, good):
                pass
            os.replace(beside, self.path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                beside.unlink()
        return time.monotonic() - start

    def _written(self, path: Path, refused: Collection[bytes], good: dict[bytes, KeyValue]) -> bool:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
            head_due = True
            try:
                for revision, kvs in self._pages(self._prefix.encode("latin-1"), _PAGE):
                    if head_due:
                        file.write(self._head(revision))
                        head_due = False
                    file.writelines(_line(kv) for kv in kvs if kv.key not in refused)
                    gevent.sleep(0)
            except Compacted:
                return False
            file.writelines(map(_line, good.values()))
            file.flush()
            get_hub().threadpool.apply(os.fsync, (file.fileno(),))
        return True

    def _head(self, revision: int) -> bytes:
        head = {
            "format": _FORMAT,
            "prefix": self._prefix,
            "hosts": self._hosts,
            "revision": revision,
            "saved_at": time.time(),
        }
        return json.dumps(head).encode() + b"\n"

    def _is_ours(self, head: dict[str, object]) -> bool:
        hosts = head["hosts"] if isinstance(head.get("hosts"), list) else []
        ours = (
            head.get("format") == _FORMAT
            and head.get("prefix") == self._prefix
            and not set(self._hosts).isdisjoint(hosts)  # type: ignore[arg-type]
        )
        if not ours:
            _log.warning("the snapshot %s is of another configuration", self.path)
        return ours


def _line(kv: KeyValue) -> bytes:
    row = [kv.key.decode("latin-1"), kv.value.decode("latin-1"), kv.create_rev, kv.mod_rev]
    return json.dumps(row).encode() + b"\n"


def _parsed(line: bytes) -> KeyValue:
    key, value, create_rev, mod_rev = json.loads(line)
    return KeyValue(key.encode("latin-1"), value.encode("latin-1"), create_rev, mod_rev)
