"""Owns the question whether an etcd that answers again is still the one that was read before.

Revisions mean something within one history only. A wiped or restored etcd begins another one, which
may have grown past every revision seen; its cluster id is the same when its flags are. So a few
keys are remembered as they were at their revisions, and looked up there. Must never judge events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from pygw.config.store import KeyValue, StoreRefused, prefix_end

# Reads a key, or with an end a range, at a revision (0: now): etcd's RangeResponse.
Read = Callable[..., Any]

_WITNESSES = 3


class History:
    """What is remembered of one store. `label` changes when a history is found to have ended."""

    def __init__(self) -> None:
        self._number = 1
        self._cluster = self._term = self._revision = 0
        self._void = b"/", 0  # a prefix under which there was nothing, and when
        self._witnesses: deque[KeyValue] = deque(maxlen=_WITNESSES)

    @property
    def label(self) -> str:
        return str(self._number)

    @property
    def known(self) -> bool:
        """Whether anything is remembered of the present history."""
        return self._revision > 0

    def saw(self, revision: int, kvs: Iterable[KeyValue], prefix: bytes | None = None) -> None:
        """Remember that the store was at `revision`, with these keys; `prefix`: no others there."""
        self._revision = max(self._revision, revision)
        if not kvs and prefix is not None:
            self._void = prefix, revision
        newest = max(kvs, key=lambda kv: kv.mod_rev, default=None)
        if newest and (not self._witnesses or newest.mod_rev > self._witnesses[-1].mod_rev):
            self._witnesses.append(newest)

    def verify(self, read: Read, key: bytes) -> None:
        """Compare with what the store says now; `key` is any that may be read. See `label`."""
        if not self._goes_on(read, key):
            self._number += 1
            self._revision = 0
            self._witnesses.clear()
        header = read(key, 0).header
        self._cluster, self._term = header.cluster_id, header.raft_term

    def _goes_on(self, read: Read, key: bytes) -> bool:
        if not self.known:
            return True
        # More may be seen while the store is asked, and that would be compared with older answers.
        revision, witnesses = self._revision, tuple(self._witnesses)
        header = read(key, 0).header
        if self._cluster and header.cluster_id != self._cluster:
            return False
        if header.raft_term < self._term or header.revision < revision:
            return False
        if not witnesses:
            return _is_void(*self._void, read)
        verdicts = {_stands(witness, read) for witness in witnesses}
        return True in verdicts and False not in verdicts


def _is_void(prefix: bytes, revision: int, read: Read) -> bool:
    try:
        return revision > 0 and not read(prefix or b"\0", revision, prefix_end(prefix)).kvs
    except StoreRefused:
        return False


def _stands(witness: KeyValue, read: Read) -> bool | None:
    """Whether the store has this key at its revision; None when that is compacted away."""
    if _same(witness, read(witness.key, 0)):
        return True
    try:
        return _same(witness, read(witness.key, witness.mod_rev))
    except StoreRefused as error:
        return None if "compacted" in str(error) else False


def _same(witness: KeyValue, answer: Any) -> bool:
    return any(
        (kv.value, kv.create_revision, kv.mod_revision)
        == (witness.value, witness.create_rev, witness.mod_rev)
        for kv in answer.kvs
    )
