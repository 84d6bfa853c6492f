"""What a configuration cycle must bear: one connection, faults in between, a leader that is lost.

The cases of real time say within which time a change must be served.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from soak.run import run as soak
from support.cycle_worker import CycleWorker, following_store
from support.etcd_server import EtcdServer
from support.fault_proxy import FaultProxy

from pygw.config.etcd import EtcdStore
from pygw.config.store import Put

Follow = Callable[..., CycleWorker]
LATE = 1.0  # seconds
OUTAGE = 2.0  # long enough for any back-off to have grown
THINGS = "/gw/things/"


@pytest.fixture
def follow(tmp_path: Path, etcd_store_for: Callable[..., EtcdStore]) -> Iterator[Follow]:
    """Starts a worker that follows the etcd of these addresses, in real time."""
    workers: list[CycleWorker] = []

    def start(*urls: str) -> CycleWorker:
        workers.append(following_store(tmp_path, etcd_store_for(*urls), "/gw"))
        return workers[-1].start()

    yield start
    for worker in workers:
        worker.stop()


@pytest.fixture
def proxy(etcd: EtcdServer) -> Iterator[FaultProxy]:
    between = FaultProxy(etcd.port)
    yield between
    between.close()


def put(etcd: EtcdServer, name: str, n: int, **more: Any) -> None:
    etcd.ctl("put", THINGS + name, json.dumps({"n": n, **more}))


def within(worker: CycleWorker, seconds: float, items: dict[str, int]) -> None:
    with gevent.Timeout(seconds):
        worker.until(lambda: worker.state()["items"] == items)


@pytest.mark.parametrize("seed", range(4))
def test_a_seeded_run_of_faults(shared_etcd: EtcdServer, seed: int) -> None:
    soak(seed, shared_etcd)


@pytest.mark.parametrize("fault", ["kill", "wipe", "restore", "stop", "compact"])
def test_a_seeded_run_of_one_grave_fault(etcd: EtcdServer, fault: str) -> None:
    assert fault in soak(7, etcd, fault, steps=5)


def test_a_worker_has_one_connection_and_one_watch_stream(
    etcd: EtcdServer, proxy: FaultProxy, follow: Follow
) -> None:
    worker = follow(proxy.url)
    for n in range(20):
        put(etcd, "1", n)
        assert worker.change() == ("1", n)
    worker.until_watching()
    assert (proxy.accepted, proxy.open) == (1, 1)
    assert etcd.metric("etcd_debugging_mvcc_watch_stream_total") == 1
    proxy.reset()
    put(etcd, "1", 99)
    assert worker.change() == ("1", 99)
    assert (proxy.accepted, proxy.open) == (2, 1)


@pytest.mark.parametrize("bad", ['{"bad": true}', "{not json", "7"])
def test_an_invalid_item_delays_no_later_change(etcd: EtcdServer, follow: Follow, bad: str) -> None:
    put(etcd, "live", 1)
    worker = follow(etcd.url)
    etcd.ctl("put", THINGS + "live", bad)
    worker.until(lambda: f"failed to check item data of [{THINGS}live]" in worker.log())
    for n in range(3):
        put(etcd, "other", n)
        within(worker, LATE, {"live": 1, "other": n})


def test_a_valid_item_after_an_invalid_one_of_its_transaction_is_served(
    etcd: EtcdServer, follow: Follow, etcd_store_for: Callable[..., EtcdStore]
) -> None:
    worker = follow(etcd.url)
    worker.until_watching()
    things = THINGS.encode()
    etcd_store_for(etcd.url).transact(
        [Put(things + b"x1", b'{"bad": true}'), Put(things + b"x2", b'{"n": 2}')]
    )
    within(worker, LATE, {"x2": 2})


@pytest.mark.parametrize("away", ["refuse", "black_hole"])
def test_changes_after_an_outage_arrive_within_a_second(
    etcd: EtcdServer, proxy: FaultProxy, follow: Follow, away: str
) -> None:
    put(etcd, "1", 1)
    worker = follow(proxy.url)
    worker.until_watching()
    getattr(proxy, away)()
    put(etcd, "1", 2)
    gevent.sleep(OUTAGE)
    assert worker.state()["items"] == {"1": 1}
    proxy.heal()
    within(worker, LATE, {"1": 2})


def test_changes_after_a_crash_of_etcd_arrive_within_a_second(
    etcd: EtcdServer, follow: Follow
) -> None:
    put(etcd, "1", 1)
    worker = follow(etcd.url)
    worker.until_watching()
    etcd.kill()
    gevent.sleep(OUTAGE)
    etcd.start()
    put(etcd, "1", 2)
    within(worker, LATE, {"1": 2})


def test_a_start_without_etcd_says_so_and_serves_within_a_second_of_its_arrival(
    etcd: EtcdServer, proxy: FaultProxy, follow: Follow
) -> None:
    put(etcd, "1", 1)
    proxy.refuse()
    began = time.monotonic()
    worker = follow(proxy.url)
    assert time.monotonic() - began < 5
    assert "no healthy etcd endpoint" in worker("probe.init_err")
    gevent.sleep(OUTAGE)
    proxy.heal()
    within(worker, LATE, {"1": 1})


def leader_of(members: list[EtcdServer]) -> EtcdServer:
    """The leader, waited for."""
    with gevent.Timeout(20):
        while True:
            for member in members:
                if member.metric("etcd_server_is_leader") == 1:
                    return member
            gevent.sleep(0.02)


def test_a_cluster_that_loses_its_leader_loses_no_version(tmp_path: Path, follow: Follow) -> None:
    members = [EtcdServer(tmp_path / f"m{i}", name=f"m{i}") for i in range(3)]
    try:
        for member in members:
            member.join(members)
            member.start(wait=False)
        for member in members:
            member.until_healthy()
        put(members[0], "1", 0)
        worker = follow(*(member.url for member in members))
        assert worker.change() == ("1", 0)
        n = 0
        for _ in range(2):
            leader = leader_of(members)
            leader.kill()
            other = leader_of([member for member in members if member is not leader])
            for _ in range(5):
                n += 1
                put(other, "1", n)
                assert worker.change() == ("1", n)
            leader.start(wait=False)
            leader.until_healthy()
    finally:
        for member in members:
            member.kill()
