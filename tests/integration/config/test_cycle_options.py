"""What a directory of the cycle is told (`timeout`, close) and what its readers may rely on."""

import collections
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from support.cycle_worker import DIRECTORIES, CycleWorker, following_store
from support.etcd_server import EtcdServer

from pygw.config.embedded import EmbeddedStore
from pygw.config.etcd import EtcdStore
from pygw.config.store import Batch, Delete, Put, Store
from pygw.config.watch_queue import QueuedWatch
from pygw.hub.clock import VirtualClock

Start = Callable[..., CycleWorker]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts a worker that follows a store under a prefix."""
    workers: list[CycleWorker] = []

    def start(store: Store, base: bytes, **options: Any) -> CycleWorker:
        prefix = base.decode().rstrip("/")
        workers.append(following_store(tmp_path, store, prefix, **options))
        return workers[-1].start()

    yield start
    for worker in workers:
        worker.stop()


@pytest.fixture
def embedded() -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(":memory:")
    yield made
    made.close()


def test_no_reader_sees_half_a_transaction(store: Store, base: bytes, started: Start) -> None:
    """Neither of one that a watch brings, nor of one that a reading after a compaction brings."""
    worker = started(store, base)
    a, b = base + b"things/a", base + b"things/b"
    seen: set[tuple[int | None, int | None]] = set()

    def look() -> None:
        while True:
            items = worker.state()["items"]
            seen.add((items.get("a"), items.get("b")))
            gevent.sleep(0)

    looking = gevent.spawn(look)
    for n in range(150):
        if n % 10 == 9:
            revision, _ = store.transact([Delete(a), Delete(b)])
        else:
            value = json.dumps({"n": n}).encode()
            revision, _ = store.transact([Put(a, value), Put(b, value)])
        if n % 50 == 30:
            store.compact(revision)
    worker.until(lambda: worker.state()["prev_index"] >= revision)
    looking.kill()
    assert len(seen) > 1
    assert {left == right for left, right in seen} == {True}


def test_a_closed_directory_stays_as_it_is_and_ends_its_watch(
    etcd: EtcdServer, etcd_store_for: Callable[..., EtcdStore], started: Start
) -> None:
    etcd.ctl("put", "/gw/things/1", '{"n": 1}')
    store = etcd_store_for(etcd.url)
    worker = started(store, b"/gw")
    worker.until(lambda: etcd.metric("etcd_debugging_mvcc_watcher_total") == 13)
    worker("probe.things:close()")
    worker.until(lambda: etcd.metric("etcd_debugging_mvcc_watcher_total") == 12)
    etcd.ctl("put", "/gw/things/1", '{"n": 2}')
    etcd.ctl("put", "/gw/other1/1", "{}")
    other = "require('apisix.core.config').fetch_created_obj('/other1')"
    worker.until(lambda: worker(f"#{other}.values") == 1)
    assert worker.state()["items"] == {"1": 1}


def test_a_quiet_watch_is_renewed_after_the_configured_time_or_the_directorys_own(
    embedded: EmbeddedStore, started: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = collections.Counter[float]()
    wait = QueuedWatch.next

    def counted(watch: QueuedWatch, timeout: float) -> Batch:
        waits[timeout] += 1
        return wait(watch, timeout)

    monkeypatch.setattr(QueuedWatch, "next", counted)
    worker = started(embedded, b"/gw")
    worker.until(lambda: waits[50.0] == DIRECTORIES)
    worker.worker.runtime.execute(
        "assert(require('apisix.core.config').new('/own', { automatic = true, timeout = 0.01 }))"
    )
    worker.until(lambda: waits[0.01] >= 40)  # more than the rounds of one run
    assert waits[50.0] == DIRECTORIES


def test_a_directory_that_is_not_automatic_is_not_followed(
    embedded: EmbeddedStore, started: Start
) -> None:
    worker = started(embedded, b"/gw")
    worker.until_watching()
    worker.worker.runtime.execute("probe.still = require('apisix.core.config').new('/still')")
    embedded.put(b"/gw/still/1", b"{}")
    embedded.put(b"/gw/things/1", b'{"n": 1}')
    assert worker.change() == ("1", 1)
    assert worker("#probe.still.values") == 0
    assert not [key for _, key, _ in worker.attempts.queue if key == "/gw/still/"]


def test_what_new_cannot_do_without(embedded: EmbeddedStore, started: Start) -> None:
    worker = started(embedded, b"/gw")
    worker.worker.runtime.execute(
        "local obj, err = require('apisix.core.config').new(nil, { automatic = true })"
        " probe.obj, probe.err = obj, err"
    )
    assert (worker("probe.obj"), worker("probe.err")) == (None, "missing `key` argument")


def test_without_reading_at_the_start_each_directory_reads_for_itself(
    embedded: EmbeddedStore, started: Start
) -> None:
    embedded.put(b"/gw/things/1", b'{"n": 1}')
    worker = started(embedded, b"/gw", apisix="{disable_sync_configuration_during_start: true}")
    assert worker.change() == ("1", 1)
    worker.until(lambda: len(worker.attempts) >= 2 * DIRECTORIES)
    kinds = collections.Counter(name for name, _, _ in worker.attempts.queue)
    assert kinds == {"store_readdir": DIRECTORIES, "store_watch_open": DIRECTORIES}


def test_a_worker_that_comes_to_life_late_reads_again(
    embedded: EmbeddedStore, started: Start
) -> None:
    """As one that is started anew, a minute after the configuration was read for all."""
    clock = VirtualClock()
    worker = started(embedded, b"/gw", clock=clock)
    worker.until_watching()

    def run(function: str) -> int:
        """Run it in a task; how often all was read so far."""
        code = f"probe.ran = nil; ngx.timer.at(0, function() probe.ran = {function} end)"
        worker.worker.runtime.execute(code)
        worker.until(lambda: worker("probe.ran ~= nil"))
        return [name for name, _, _ in worker.attempts.queue].count("store_preload")

    assert run("require('apisix.core.config').init()") == 2
    clock.advance(60)
    assert run("require('apisix.core.config').init_worker()") == 2
    clock.advance(1)
    assert run("require('apisix.core.config').init_worker()") == 3
