"""What is remembered of an etcd, to know it again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pygw.config.etcd_history import History
from pygw.config.store import KeyValue


def test_more_may_be_seen_while_it_looks_up() -> None:
    """Reads wait for etcd, and a watch goes on meanwhile."""
    history = History()
    for revision in (5, 6):
        history.saw(revision, [KeyValue(b"/a", b"x", 5, revision)])

    def read(key: bytes, revision: int, end: bytes = b"") -> Any:
        later = 7 + len(seen)
        seen.append(later)
        history.saw(later, [KeyValue(b"/b", b"y", later, later)])
        header = SimpleNamespace(cluster_id=1, raft_term=1, revision=later - 1)
        held = SimpleNamespace(value=b"x", create_revision=5, mod_revision=revision or 6)
        return SimpleNamespace(header=header, kvs=[held])

    seen: list[int] = []
    label = history.label
    history.verify(read, b"/a")
    assert len(seen) > 2
    assert history.label == label
