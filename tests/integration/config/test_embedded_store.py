"""What only the embedded store has: a file that several processes share, and its mishaps."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from pygw.config.embedded import EmbeddedStore
from pygw.config.embedded_db import Database
from pygw.config.store import Delete, Put, StoreRefused, StoreUnavailable

WAIT = 20.0

Script = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(path)
    yield made
    made.close()


def test_a_commit_that_was_never_announced_is_noticed(store: EmbeddedStore, path: Path) -> None:
    """As when the writer is killed right after its commit."""
    watch = store.open_watch(b"/", 0)
    database = Database(str(path), 100)
    revision, _, _ = database.transact([Put(b"/k", b"1")], (), 0.0)
    database.close()
    assert watch.next(WAIT).events[0].mod_rev == revision


def test_processes_that_write_at_once_share_one_sequence(
    store: EmbeddedStore, path: Path, script: Script
) -> None:
    code = "for n in range(40): say(store.put(f'/{argv[1]}'.encode(), b''))\n"
    writers = [script(path, code, i) for i in range(3)]
    revisions = sorted(int(line) for w in writers for line in w.stdout.read().split())
    assert revisions == list(range(2, 122))
    assert store.readdir(b"")[0] == 121


def test_processes_that_create_the_file_at_once_agree(path: Path, script: Script) -> None:
    code = "say(store.put(argv[1].encode(), b''))\n"
    writers = [script(path, code, i) for i in range(4)]
    assert sorted(int(w.stdout.read()) for w in writers) == [2, 3, 4, 5]


def test_everything_is_still_there_after_closing_and_opening(path: Path) -> None:
    first = EmbeddedStore(path)
    revision = first.put(b"/k", b"1")
    first.close()
    second = EmbeddedStore(path)
    assert second.readdir(b"/")[0] == revision
    assert second.open_watch(b"/", revision).next(WAIT).events[0].value == b"1"
    second.close()


def test_a_key_expires_although_its_writer_has_died(
    store: EmbeddedStore, path: Path, script: Script
) -> None:
    watch = store.open_watch(b"/", 0)
    writer = script(path, "say(store.put(b'/k', b'', ttl=1)); gevent.sleep(60)\n")
    assert writer.stdout.readline()
    writer.kill()
    assert watch.next(WAIT).events[0].type == "PUT"
    assert watch.next(WAIT).events[0].type == "DELETE"


def test_old_history_goes_by_itself_and_keys_stay(path: Path) -> None:
    store = EmbeddedStore(path, history=10)
    for i in range(30):
        store.put(b"/%d" % (i % 3), b"%d" % i)
    revision, kvs = store.readdir(b"/")
    assert [kv.value for kv in kvs] == [b"27", b"28", b"29"]
    assert store.open_watch(b"/", 1).next(WAIT).kind == "compacted"
    batch = store.open_watch(b"/", revision - 9).next(WAIT)
    assert [e.mod_rev for e in batch.events] == list(range(revision - 9, revision + 1))
    store.close()


def test_a_running_watch_overtaken_by_compaction_is_told(path: Path, script: Script) -> None:
    """Another process writes and compacts while this one does not come to read."""
    store = EmbeddedStore(path)
    watch = store.open_watch(b"/", 0)
    database = Database(str(path), 100)
    for _ in range(5):
        revision, _, _ = database.transact([Put(b"/k", b"")], (), 0.0)
    database.compact(revision)
    database.close()
    batch = watch.next(WAIT)
    assert (batch.kind, batch.revision) == ("compacted", revision)
    assert watch.next(WAIT).kind == "closed"
    store.close()


def test_a_writer_that_waits_for_another_holds_up_neither_readers_nor_the_hub(
    store: EmbeddedStore, path: Path
) -> None:
    store.put(b"/k", b"1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer = gevent.spawn(store.put, b"/k", b"2")
    with gevent.Timeout(5):
        for _ in range(10):
            kv = store.get(b"/k")[1]
            assert kv is not None
            assert kv.value == b"1"
    assert not writer.ready()
    other.execute("ROLLBACK")
    other.close()
    assert writer.get(timeout=WAIT) == 3


def test_a_failed_write_leaves_nothing_behind(store: EmbeddedStore, path: Path) -> None:
    with pytest.raises(Exception, match="datatype|integer|convert|bind"):
        store.transact([Put(b"/a", b""), Delete(b"/b"), Put(b"/c", object())])  # type: ignore[arg-type]
    assert store.readdir(b"/") == (1, [])
    assert store.put(b"/a", b"") == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"not a database at all, but text" * 40, "not a database"), (None, "format 99")],
)
def test_a_file_that_is_no_store_is_refused(path: Path, content: bytes | None, reason: str) -> None:
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    else:
        other = sqlite3.connect(path)
        other.execute("PRAGMA user_version = 99")
        other.close()
    with pytest.raises(StoreRefused, match=reason) as info:
        EmbeddedStore(path)
    assert str(path) in str(info.value)


def test_a_place_that_cannot_hold_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreRefused, match="file"):
        EmbeddedStore(tmp_path / "file" / "store.db")


def test_a_closed_store_refuses_calls_and_leaves_no_descriptor(path: Path) -> None:
    EmbeddedStore(path).close()  # what gevent opens once and keeps
    before = set(os.listdir("/proc/self/fd"))
    store = EmbeddedStore(path)
    store.put(b"/k", b"")
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.get(b"/k")
    assert set(os.listdir("/proc/self/fd")) <= before


def test_whoever_waits_for_a_store_that_closes_is_told(path: Path) -> None:
    store = EmbeddedStore(path)

    def read_on() -> None:
        while True:
            store.get(b"/x")

    readers = [gevent.spawn(read_on) for _ in range(5)]
    gevent.sleep(0)  # each waits for its answer
    store.close()
    gevent.joinall(readers, timeout=WAIT)
    told = [str(reader.exception) for reader in readers]
    assert told == ["the store was closed"] * len(readers)


def test_the_file_is_its_owners_alone(path: Path, store: EmbeddedStore) -> None:
    store.put(b"/apisix/secrets/vault/1", b"{}")
    files = [file for file in path.parent.iterdir() if file.name.startswith("store.db")]
    readable = {file.name for file in files if file.stat().st_mode & 0o077}
    assert readable <= {"store.db-changed"}  # that one is always empty
