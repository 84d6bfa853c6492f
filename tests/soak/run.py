"""One seeded run: workers follow etcd through a fault proxy while there are writes and faults.

At its end each worker, one or two of them, must hold what etcd holds. Where no fault took history
away, it must have applied every version in the order of writing; else no version that was not
written, and none of a key after a later one of the same history. Must never judge by anything but
what was acknowledged.
"""

import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
from support.cycle_worker import CycleWorker, following_store
from support.etcd_server import EtcdServer, etcd_conf
from support.fault_proxy import FaultProxy

from pygw.config.etcd import EtcdStore
from pygw.config.store import Delete, Put, StoreUnavailable

_KEYS = 6
_STEPS = 12
_WITHIN = 10.0  # seconds after the last fault in which all must be there

Version = tuple[int, str, int | None]  # revision, key, what was written


@dataclass
class Run:
    """What a run's steps work on."""

    rng: random.Random
    etcd: EtcdServer
    proxy: FaultProxy
    store: EtcdStore
    directory: Path
    prefix: str
    model: dict[str, int] = field(default_factory=dict)
    spoiled: set[str] = field(default_factory=set)  # keys whose data in etcd is invalid
    written: list[Version] = field(default_factory=list)
    count: int = 0
    gaps: bool = False  # versions may be passed over
    restored: bool = False  # revisions may come again

    def write(self) -> None:
        """One transaction of one to three keys, some of them invalid."""
        puts: list[Put | Delete] = []
        changes: list[tuple[str, int | None]] = []
        for name in map(str, self.rng.sample(range(_KEYS), self.rng.choice([1, 1, 1, 3]))):
            key = f"{self.prefix}/things/{name}".encode()
            self.count += 1
            kind = self.rng.random()
            if kind < 0.25 and name in self.model:
                puts.append(Delete(key))
                self.spoiled.discard(name)
                changes.append((name, None))
            elif kind < 0.35:
                puts.append(Put(key, self.rng.choice([b"{no json", b'{"bad": true}', b"7"])))
                self.spoiled.add(name)
            else:
                puts.append(Put(key, json.dumps({"n": self.count}).encode()))
                self.spoiled.discard(name)
                changes.append((name, self.count))
        revision = self._acknowledged(puts)
        for name, n in changes:
            self.written.append((revision, name, n))
            if n is None:
                del self.model[name]
            else:
                self.model[name] = n

    def _acknowledged(self, puts: list[Put | Delete]) -> int:
        with gevent.Timeout(_WITHIN):
            while True:
                try:
                    return self.store.transact(puts)[0]
                except StoreUnavailable:
                    gevent.sleep(0.02)

    def pause(self, most: float) -> None:
        gevent.sleep(self.rng.random() * most)


def _slow(run: Run) -> None:
    run.proxy.delay = run.rng.random() * 0.03


def _throttle(run: Run) -> None:
    run.proxy.piece, run.proxy.delay = run.rng.choice([7, 50, 300]), 0.001


def _away(begin: Callable[[FaultProxy], None]) -> Callable[[Run], None]:
    def fault(run: Run) -> None:
        begin(run.proxy)
        for _ in range(run.rng.randrange(4)):
            run.write()
        run.pause(0.1)
        if run.rng.random() < 0.5:
            run.proxy.reset()
        run.proxy.heal()

    return fault


def _compacted_away(run: Run) -> None:
    run.proxy.refuse()
    for _ in range(3):
        run.write()
    run.store.compact(run.store.get(b"/")[0])
    run.gaps = True
    run.proxy.heal()


def _stop(run: Run) -> None:
    run.etcd.stop()
    run.pause(0.3)
    run.etcd.resume()


def _kill(run: Run) -> None:
    run.etcd.kill()
    run.pause(0.1)
    run.etcd.start()
    run.write()


def _wipe(run: Run) -> None:
    run.etcd.kill()
    run.etcd.wipe()
    run.etcd.start()
    run.model.clear()
    run.spoiled.clear()
    run.gaps = run.restored = True
    for _ in range(run.rng.choice([1, 40])):
        run.write()


def _restore(run: Run) -> None:
    snapshot = run.directory / "etcd.snapshot"
    model, spoiled = dict(run.model), set(run.spoiled)
    snapshot.unlink(missing_ok=True)
    run.etcd.ctl("snapshot", "save", str(snapshot))
    for _ in range(run.rng.choice([1, 5])):
        run.write()
    run.etcd.restore(snapshot)
    run.model, run.spoiled = model, spoiled
    run.gaps = run.restored = True
    for _ in range(run.rng.choice([0, 1, 20])):
        run.write()


_FAULTS: dict[str, tuple[float, Callable[[Run], None]]] = {
    "slow": (20, _slow),
    "throttle": (15, _throttle),
    "cut": (15, lambda run: run.proxy.cut()),
    "reset": (15, lambda run: run.proxy.reset()),
    "black hole": (15, _away(FaultProxy.black_hole)),
    "refuse": (15, _away(FaultProxy.refuse)),
    "heal": (15, lambda run: run.proxy.heal()),
    "compact": (4, _compacted_away),
    "stop": (2, _stop),
    "kill": (1, _kill),
    "wipe": (0.7, _wipe),
    "restore": (0.7, _restore),
}


def run(seed: int, etcd: EtcdServer, only: str | None = None, steps: int = _STEPS) -> list[str]:
    """Make the run of that seed; `only`: with no fault but this one. Returns its faults.

    Raises AssertionError, or gevent.Timeout when something has not come.
    """
    rng = random.Random(seed)
    proxy, store = FaultProxy(etcd.port), EtcdStore(etcd_conf(etcd.url))
    followed = [EtcdStore(etcd_conf(proxy.url)) for _ in range(rng.choice([1, 1, 1, 2]))]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        work = Run(rng, etcd, proxy, store, directory, f"/{seed}-{rng.random()}")
        workers = [following_store(directory, each, work.prefix).start() for each in followed]
        try:
            done = _steps(work, only, steps)
            proxy.heal()
            _settle(work, workers)
            for worker in workers:
                _judge(work, _applied(worker))
        except BaseException:
            print(f"seed {seed}: {workers[0].log()}")
            raise
        finally:
            proxy.heal()
            for worker in workers:
                worker.stop()
            for each in (*followed, store, proxy):
                each.close()
    return done


def _steps(work: Run, only: str | None, steps: int) -> list[str]:
    names = [only] if only else list(_FAULTS)
    weights = [_FAULTS[name][0] for name in names]
    done = []
    for _ in range(steps):
        for _ in range(work.rng.randrange(4)):
            work.write()
        if work.rng.random() < 0.5:
            (fault,) = work.rng.choices(names, weights)
            _FAULTS[fault][1](work)
            done.append(fault)
        work.pause(0.01)
    work.write()
    return done


def _settle(work: Run, workers: list[CycleWorker]) -> None:
    """Wait until each worker holds what was written and one more change has come."""
    revision = work._acknowledged([Put(f"{work.prefix}/things/last".encode(), b'{"n": 0}')])
    work.written.append((revision, "last", 0))
    work.model["last"] = 0
    unsure = work.spoiled if work.gaps else set()  # their last valid data may have been passed over
    with gevent.Timeout(_WITHIN):
        for worker in workers:
            while _but(unsure, worker.state()["items"]) != _but(unsure, work.model):
                gevent.sleep(0.005)


def _but(names: set[str], items: dict[str, int]) -> dict[str, int]:
    return {name: n for name, n in items.items() if name not in names}


def _applied(worker: CycleWorker) -> list[Version]:
    found: list[Any] = [worker.changes.get() for _ in range(len(worker.changes))]
    return [
        (revision, name, value and value["n"])
        for directory, name, value, revision in found
        if directory == "/things"
    ]


def _judge(work: Run, applied: list[Version]) -> None:
    if not work.gaps:
        assert applied == work.written
        return
    known = set(work.written)
    unknown = [version for version in applied if version[2] is not None and version not in known]
    assert not unknown, f"never written: {unknown}"
    if not work.restored:
        for key in {name for _, name, _ in applied}:
            assert _in_order([version for version in applied if version[1] == key]), applied


def _in_order(versions: list[Version]) -> bool:
    revisions = [revision for revision, _, _ in versions]
    return revisions == sorted(revisions)
