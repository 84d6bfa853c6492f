"""A start while etcd is away: from the snapshot of the last good configuration."""

import json
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from support.cycle_worker import CycleWorker, following_store
from support.etcd_server import EtcdServer, free_ports

from pygw.config.etcd import EtcdStore
from pygw.config.snapshot import Snapshot

MakeStore = Callable[..., EtcdStore]
LATE = 1.0  # seconds after etcd's return within which its changes are served


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshot.jsonl"


@pytest.fixture
def follow(
    tmp_path: Path, path: Path, etcd_store_for: MakeStore
) -> Iterator[Callable[..., CycleWorker]]:
    """Starts a worker that follows an etcd and keeps a snapshot."""
    workers: list[CycleWorker] = []

    def start(url: str, *, prefix: str = "/gw", hosts: tuple[str, ...] = ()) -> CycleWorker:
        store = etcd_store_for(url)
        snapshot = Snapshot(path, f"{prefix}/", hosts or (url,), store.pages)
        workers.append(following_store(tmp_path, store, prefix, snapshot=snapshot))
        return workers[-1].start()

    yield start
    for worker in workers:
        worker.stop()


def put(etcd: EtcdServer, name: str, n: int, **more: Any) -> None:
    etcd.ctl("put", f"/gw/things/{name}", json.dumps({"n": n, **more}))


def saved(path: Path) -> dict[str, Any]:
    """The values in the snapshot by key, {} when there is none."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return {row[0].rpartition("/")[2]: json.loads(row[1])["n"] for row in rows}


def save(worker: CycleWorker, path: Path, expected: dict[str, Any]) -> None:
    worker.until(lambda: saved(path) == expected)


def test_a_start_without_etcd_serves_what_was_last_good(
    etcd: EtcdServer, follow: Callable[..., CycleWorker], path: Path
) -> None:
    put(etcd, "1", 1)
    put(etcd, "2", 2)
    first = follow(etcd.url)
    save(first, path, {"1": 1, "2": 2})
    etcd.ctl("put", "/gw/things/1", "{not json")
    put(etcd, "3", 3)
    save(first, path, {"1": 1, "2": 2, "3": 3})
    etcd.kill()
    second = follow(etcd.url)
    assert second.state()["items"] == {"1": 1, "2": 2, "3": 3}
    assert "until it answers, the configuration of " in second.log()
    etcd.start()
    back = time.monotonic()
    put(etcd, "2", 4)
    second.until(lambda: second.state()["items"] == {"2": 4, "3": 3, "1": 1})
    assert time.monotonic() - back < LATE
    put(etcd, "4", 4)
    second.until(lambda: second.state()["items"].get("4") == 4)


def test_the_snapshot_is_for_its_owner_alone_and_replaced_whole(
    etcd: EtcdServer, follow: Callable[..., CycleWorker], path: Path
) -> None:
    put(etcd, "1", 1)
    worker = follow(etcd.url)
    save(worker, path, {"1": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open() as old:
        put(etcd, "1", 2)
        save(worker, path, {"1": 2})
        assert '\\"n\\": 1' in old.read()
    assert [each.name for each in path.parent.glob("snapshot*")] == [path.name]
    head = json.loads(path.read_text().splitlines()[0])
    assert (head["prefix"], head["hosts"]) == ("/gw/", [etcd.url])


@pytest.mark.parametrize(
    "other", [{"prefix": "/other"}, {"hosts": ("http://127.0.0.1:1",)}], ids=["prefix", "cluster"]
)
def test_a_snapshot_of_something_else_is_not_used(
    etcd: EtcdServer, follow: Callable[..., CycleWorker], path: Path, other: dict[str, Any]
) -> None:
    put(etcd, "1", 1)
    save(follow(etcd.url), path, {"1": 1})
    etcd.kill()
    assert follow(etcd.url, **other).state()["items"] == {}


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\n", b"[]\n", b'{"format": 1}\nx\n'])
def test_a_damaged_snapshot_is_no_reason_not_to_start(
    follow: Callable[..., CycleWorker], path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    assert follow(f"http://127.0.0.1:{free_ports(1)[0]}").state()["items"] == {}


def test_a_hanging_etcd_delays_a_start_by_two_seconds_at_most(
    etcd: EtcdServer, follow: Callable[..., CycleWorker], path: Path
) -> None:
    put(etcd, "1", 1)
    save(follow(etcd.url), path, {"1": 1})
    etcd.stop()
    with gevent.Timeout(3.5):
        worker = follow(etcd.url)
    assert worker.state()["items"] == {"1": 1}
    etcd.resume()
    put(etcd, "1", 2)
    back = time.monotonic()
    worker.until(lambda: worker.state()["items"] == {"1": 2})
    assert time.monotonic() - back < LATE


def test_what_etcd_holds_replaces_the_snapshot_whatever_its_revisions(
    etcd: EtcdServer, follow: Callable[..., CycleWorker], path: Path
) -> None:
    put(etcd, "1", 1)
    save(follow(etcd.url), path, {"1": 1})
    etcd.kill()
    worker = follow(etcd.url)
    etcd.wipe()
    etcd.start()
    put(etcd, "1", 2)
    worker.until(lambda: worker.state()["items"] == {"1": 2})
