"""The configuration cycle while etcd is away; virtual time, real servers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.cycle_worker import CycleWorker, following_store
from support.etcd_server import EtcdServer, free_ports

from pygw.config.etcd import EtcdStore
from pygw.hub.clock import VirtualClock

MakeStore = Callable[..., EtcdStore]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def follow(
    tmp_path: Path, clock: VirtualClock, etcd_store_for: MakeStore
) -> Iterator[Callable[[str], CycleWorker]]:
    """Starts a worker that follows an etcd."""
    workers: list[CycleWorker] = []

    def start(url: str) -> CycleWorker:
        workers.append(following_store(tmp_path, etcd_store_for(url), "/gw", clock))
        return workers[-1].start()

    yield start
    for worker in workers:
        worker.stop()


def put(etcd: EtcdServer, name: str, n: int) -> None:
    etcd.ctl("put", f"/gw/things/{name}", json.dumps({"n": n}))


def reads_of_things(worker: CycleWorker) -> list[float]:
    """Virtual times of the attempts to read the directory so far."""
    return [at for name, prefix, at in worker.attempts.queue if prefix == "/gw/things/"]


def test_retries_are_less_than_half_a_second_apart(
    follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    worker = follow(f"http://127.0.0.1:{free_ports(1)[0]}")
    worker.advance_until(clock, lambda: len(reads_of_things(worker)) >= 9)
    times = reads_of_things(worker)
    waits = [round(b - a, 2) for a, b in zip(times, times[1:], strict=False)]
    assert max(waits) <= 0.5 + 0.25, waits  # virtual time passes in steps of 0.25 s


def test_an_absent_etcd_is_one_line_for_all_directories_each_30_seconds(
    follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    worker = follow(url)
    start = clock.monotonic
    worker.advance_until(clock, lambda: clock.monotonic > start + 20)
    (line,) = [line for line in worker.log().splitlines() if "until it answers" in line]
    assert url in line


def test_a_gateway_started_before_etcd_catches_up(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    etcd.kill()
    worker = follow(etcd.url)
    assert worker("probe.init_ok") is None
    assert "no healthy" in worker("probe.init_err")
    etcd.start()
    put(etcd, "1", 1)
    worker.advance_until(clock, lambda: worker.state()["items"] == {"1": 1})
    assert "reconnected to etcd" in worker.log()


def test_what_was_written_around_a_crash_of_etcd_arrives_in_order(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    put(etcd, "1", 1)
    worker = follow(etcd.url)
    assert worker.change() == ("1", 1)
    worker.until_watching()
    put(etcd, "1", 2)
    etcd.kill()
    etcd.start()
    for n in (3, 4):
        put(etcd, "1", n)
    etcd.ctl("del", "/gw/things/1")
    put(etcd, "2", 5)
    worker.advance_until(clock, lambda: worker.state()["items"] == {"2": 5})
    assert [worker.change() for _ in range(5)] == [
        ("1", 2),
        ("1", 3),
        ("1", 4),
        ("1", None),
        ("2", 5),
    ]


def test_the_last_configuration_stays_while_etcd_is_away(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    put(etcd, "1", 1)
    worker = follow(etcd.url)
    etcd.kill()
    start = clock.monotonic
    worker.advance_until(clock, lambda: clock.monotonic > start + 120)
    assert worker.state()["items"] == {"1": 1}


def test_a_wiped_etcd_is_taken_as_it_is(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    for n in range(5):
        put(etcd, "old", n)
    worker = follow(etcd.url)
    worker.until_watching()
    before = worker.state()["prev_index"]
    etcd.kill()
    etcd.wipe()
    etcd.start()
    put(etcd, "new", 7)
    worker.advance_until(clock, lambda: worker.state()["items"] == {"new": 7})
    assert worker.state()["prev_index"] < before
    put(etcd, "new", 8)
    worker.advance_until(clock, lambda: worker.state()["items"] == {"new": 8})


def test_history_compacted_during_the_outage_is_made_up_by_reading_again(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    for name in ("1", "2"):
        put(etcd, name, 1)
    worker = follow(etcd.url)
    worker.until_watching()
    etcd.kill()
    etcd.start()
    put(etcd, "1", 2)
    etcd.ctl("del", "/gw/things/2")
    put(etcd, "3", 3)
    revision = json.loads(etcd.ctl("get", "/gw/", "-w", "json"))["header"]["revision"]
    etcd.ctl("compact", str(revision))
    worker.advance_until(clock, lambda: worker.state()["items"] == {"1": 2, "3": 3})


@pytest.mark.parametrize("old", [0, 3])
def test_a_wiped_etcd_that_has_grown_past_us_is_noticed(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock, old: int
) -> None:
    for n in range(old):
        put(etcd, f"old{n}", n)
    worker = follow(etcd.url)
    worker.until_watching()
    before = worker.state()["prev_index"]
    etcd.kill()
    etcd.wipe()
    etcd.start()
    for n in range(old + 10):  # the first of these have revisions that the worker believes to know
        put(etcd, f"new{n}", n)
    expected = {f"new{n}": n for n in range(old + 10)}
    worker.advance_until(clock, lambda: worker.state()["items"] == expected)
    assert worker.state()["prev_index"] > before


def test_an_item_of_the_same_name_and_revision_is_not_kept_over_a_wipe(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    put(etcd, "1", 1)
    worker = follow(etcd.url)
    worker.until_watching()
    etcd.kill()
    etcd.wipe()
    etcd.start()
    put(etcd, "1", 2)
    worker.advance_until(clock, lambda: worker.state()["items"] == {"1": 2})


def test_a_restarted_etcd_that_was_compacted_is_still_known(
    etcd: EtcdServer, follow: Callable[[str], CycleWorker], clock: VirtualClock
) -> None:
    for n in range(3):
        put(etcd, "1", n)
    worker = follow(etcd.url)
    worker.until_watching()
    worker("probe.remember()")
    etcd.ctl("compact", "4")
    etcd.kill()
    etcd.start()
    put(etcd, "2", 2)
    worker.advance_until(clock, lambda: worker.state()["items"] == {"1": 2, "2": 2})
    assert worker("probe.same('1')") is True
    assert "reading it again" not in worker.log()
