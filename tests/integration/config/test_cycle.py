"""The configuration cycle in a real worker, against each kind of store."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from support.cycle_worker import CycleWorker, following_store

from pygw.config.store import Delete, Put, Store

WAIT = 20.0


@pytest.fixture
def things(base: bytes) -> bytes:
    """Key prefix of the items of /things; the configured prefix has no slash at its end."""
    return base + b"things/"


@pytest.fixture
def started(store: Store, base: bytes, tmp_path: Path) -> Iterator[Callable[[], CycleWorker]]:
    """Starts the worker when called, and stops it with the test."""
    workers: list[CycleWorker] = []

    def start() -> CycleWorker:
        workers.append(following_store(tmp_path, store, base.decode().rstrip("/")))
        return workers[-1].start()

    yield start
    for worker in workers:
        worker.stop()


def thing(n: int, **more: Any) -> bytes:
    return json.dumps({"n": n, **more}).encode()


def test_what_is_in_the_store_at_start_is_there_before_the_first_request(
    store: Store, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    store.put(things + b"1", thing(1))
    store.put(things + b"2", thing(2))
    revision = store.put(things + b"bad", thing(3, bad=True))
    worker = started()
    state = worker.state()
    assert state["items"] == {"1": 1, "2": 2}
    assert (state["conf_version"], state["prev_index"]) == (1, revision)


def test_the_start_reads_the_whole_prefix_once(
    base: bytes, started: Callable[[], CycleWorker]
) -> None:
    worker = started()
    worker.until(lambda: len(worker.attempts) >= 14)
    attempts = [worker.attempts.get() for _ in range(14)]
    assert [a[:2] for a in attempts if a[0] != "store_watch_open"] == [
        ("store_preload", base.decode())
    ]


def test_a_write_is_applied(
    store: Store, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    worker = started()
    first = store.put(things + b"1", thing(1))
    assert worker.change() == ("1", 1)
    second = store.put(things + b"1", thing(2))
    assert worker.change() == ("1", 2)
    state = worker.state()
    assert (state["items"], state["conf_version"], state["prev_index"]) == ({"1": 2}, 2, second)
    assert worker("probe.things:get('1').createdIndex") == first
    assert worker("probe.things:get(1).modifiedIndex") == second
    assert worker("probe.things:get('1').key") == (things + b"1").decode()


def test_a_deletion_leaves_a_hole_and_reaches_the_filter(
    store: Store, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    for name in (b"1", b"2"):
        store.put(things + name, thing(0))
    worker = started()
    for _ in range(2):
        worker.change()
    store.delete(things + b"1")
    assert worker.change() == ("1", None)
    state = worker.state()
    assert (state["items"], state["slots"]) == ({"2": 0}, 2)
    assert worker("probe.things.values[1]") is False
    assert worker("probe.things:get('1')") is None
    last = worker("probe.filtered[#probe.filtered]")
    assert (last.key, last.value) == ((things + b"1").decode(), None)


@pytest.mark.parametrize(
    "wrong",
    [thing(9, bad=True), thing(9, explode=True), b"{not json", b'"a string"', b"", b"null"],
)
def test_wrong_data_keeps_the_item_and_the_rest_of_its_batch(
    store: Store, things: bytes, started: Callable[[], CycleWorker], wrong: bytes
) -> None:
    store.put(things + b"1", thing(1))
    worker = started()
    worker.change()
    revision, _ = store.transact(
        [Put(things + b"0", wrong), Put(things + b"1", wrong), Put(things + b"2", thing(2))]
    )
    assert worker.change() == ("2", 2)
    state = worker.state()
    assert (state["items"], state["prev_index"]) == ({"1": 1, "2": 2}, revision)
    assert "failed to check item data of [" in worker.log()


def test_an_item_whose_filter_fails_does_not_stop_the_next(
    store: Store, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    worker = started()
    store.transact([Put(things + b"1", thing(1, explode_later=True)), Put(things + b"2", thing(2))])
    assert [worker.change(), worker.change()] == [("1", 1), ("2", 2)]
    worker.until(lambda: "the filter exploded" in worker.log())


def test_a_single_item_comes_changes_and_goes(
    store: Store, base: bytes, started: Callable[[], CycleWorker]
) -> None:
    worker = started()
    store.put(base + b"single", b'["a"]')
    assert worker.changes.get(timeout=WAIT)[:3] == ("/single", "single", ["a"])
    store.put(base + b"single_not", b'["other key"]')
    store.put(base + b"single", b'["a", "b"]')
    assert worker.changes.get(timeout=WAIT)[:3] == ("/single", "single", ["a", "b"])
    assert worker("#probe.single.values[1].value") == 2
    store.delete(base + b"single")
    assert worker.changes.get(timeout=WAIT)[:3] == ("/single", "single", None)
    assert worker("probe.single.values[1]") is False


def test_keys_beside_the_directory_are_none_of_its_items(
    store: Store, base: bytes, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    store.put(things, b"init_dir")
    store.put(base + b"things_of_others/1", thing(1))
    store.put(base + b"things", thing(1))
    worker = started()
    store.put(base + b"things_of_others/2", thing(1))
    store.put(things + b"1", thing(5))
    assert worker.change() == ("1", 5)
    assert worker.state()["items"] == {"1": 5}


def test_compaction_while_no_watch_is_open_loses_nothing(
    store: Store, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    for name in (b"kept", b"changed", b"gone"):
        store.put(things + name, thing(1))
    worker = started()
    for _ in range(3):
        worker.change()
    worker("probe.remember()")
    worker.until_watching()
    worker.gate.clear()
    store.put(things + b"changed", thing(2))  # ends the open watch; the next one waits at the gate
    assert worker.change() == ("changed", 2)
    version = worker.state()["conf_version"]
    store.put(things + b"changed", thing(3))
    store.put(things + b"new", thing(4))
    store.put(things + b"kept-bad", thing(0, bad=True))
    store.compact(store.delete(things + b"gone")[0])
    worker.gate.set()
    applied = {worker.change() for _ in range(3)}
    assert applied == {("changed", 3), ("new", 4), ("gone", None)}
    state = worker.state()
    assert state["items"] == {"kept": 1, "changed": 3, "new": 4}
    assert state["conf_version"] == version + 1
    assert worker("probe.same('kept')") is True
    assert worker("probe.same_values()") is False
    assert worker("probe.consistent()") is True
    assert "compacted, reading it again" in worker.log()


def test_a_reload_that_changes_nothing_keeps_version_and_items(
    store: Store, base: bytes, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    store.put(things + b"1", thing(1))
    worker = started()
    worker.change()
    worker("probe.remember()")
    before = worker.state()
    worker.until_watching()
    worker.gate.clear()
    store.put(things + b"bad", thing(1, bad=True))
    worker.until(lambda: worker.state()["prev_index"] > before["prev_index"])
    last = store.put(base + b"elsewhere", b"")
    store.compact(store.put(base + b"elsewhere", b""))
    worker.gate.set()
    worker.until(lambda: worker.state()["prev_index"] > last)
    state = worker.state()
    assert (state["items"], state["conf_version"]) == ({"1": 1}, before["conf_version"])
    assert worker("probe.same('1')") is True


def test_after_a_hundred_holes_the_array_is_closed_up_in_place(
    store: Store, things: bytes, started: Callable[[], CycleWorker]
) -> None:
    names = [b"%03d" % i for i in range(110)]
    store.transact([Put(things + name, thing(1)) for name in names])
    worker = started()
    for _ in names:
        worker.change()
    worker("probe.remember()")
    store.transact([Delete(things + name) for name in names[:100]])
    for _ in range(100):
        worker.change()
    assert worker.state()["slots"] == 110
    store.delete(things + names[100])
    worker.change()
    assert worker.state()["slots"] == 9
    assert worker("probe.same_values()") is True
    assert worker("probe.consistent()") is True


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_arrive_complete_and_in_order(
    store: Store, things: bytes, started: Callable[[], CycleWorker], seed: int
) -> None:
    rng = random.Random(seed)
    worker = started()
    model: dict[str, int] = {}
    expected: list[tuple[str, int | None]] = []
    for n in range(200):
        name = str(rng.randrange(12))
        kind = rng.random()
        if kind < 0.25:
            if store.delete(things + name.encode())[1]:
                model.pop(name, None)
                expected.append((name, None))
        elif kind < 0.35:
            store.put(things + name.encode(), thing(n, bad=True))
        else:
            store.put(things + name.encode(), thing(n))
            model[name] = n
            expected.append((name, n))
        if rng.random() < 0.2:
            gevent.sleep(rng.random() * 0.01)
    assert [worker.change() for _ in expected] == expected
    assert worker.state()["items"] == model
    assert worker("probe.consistent()") is True


def test_the_worker_stops_at_once_although_watches_wait(
    started: Callable[[], CycleWorker],
) -> None:
    worker = started()
    worker.until_watching()
    worker.worker.stop(False)
    with gevent.Timeout(1.5):  # it would wait two seconds for timers that do not end
        worker.worker._stopped.wait()
        worker.until(lambda: worker.worker.timers.running_count == 0)


def test_a_run_makes_32_rounds_and_arms_the_next(started: Callable[[], CycleWorker]) -> None:
    worker = started()
    worker.worker.runtime.execute(
        """
        local config, current = require "apisix.core.config", require "server.current"
        probe.runs = {}
        local last, rounds = nil, 0
        config.inject_sync_data(function(self)
            if current.task ~= last then
                last = current.task
                table.insert(probe.runs, 0)
            end
            probe.runs[#probe.runs] = probe.runs[#probe.runs] + 1
            rounds = rounds + 1
            self.running = rounds < 70
            return true
        end)
        """
    )
    worker(
        "ngx.timer.at(0, require('apisix.core.config').test_automatic_fetch,"
        " {key = '/x', running = true})"
    )
    worker.until(lambda: worker("#probe.runs") >= 3)
    assert [worker(f"probe.runs[{i}]") for i in (1, 2, 3)] == [32, 32, 6]
