"""Several endpoints of which one hangs: no connection breaks, and nobody says that it is gone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from support.cycle_worker import following_store
from support.etcd_server import EtcdServer
from support.fault_proxy import FaultProxy

from pygw.config import etcd_endpoints
from pygw.config.etcd import EtcdStore

MakeStore = Callable[..., EtcdStore]
WAIT = 20.0


@pytest.fixture
def hanging(etcd: EtcdServer) -> Iterator[FaultProxy]:
    """One of two ways to the server; the test has it hang."""
    proxy = FaultProxy(etcd.port)
    yield proxy
    proxy.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing comes is given up after a second instead of fifteen."""
    quick = {"grpc.keepalive_time_ms": 700, "grpc.keepalive_timeout_ms": 300}
    options = {**dict(etcd_endpoints._OPTIONS), **quick}
    monkeypatch.setattr(etcd_endpoints, "_OPTIONS", list(options.items()))


def test_calls_pass_over_an_endpoint_that_hangs_and_then_ask_it_last(
    etcd: EtcdServer, hanging: FaultProxy, etcd_store_for: MakeStore
) -> None:
    store = etcd_store_for(hanging.url, etcd.url, timeout=0.5)
    first = store.put(b"/k", b"")
    hanging.black_hole()
    assert store.get(b"/k")[0] == first
    with gevent.Timeout(0.4):  # less than one attempt at the endpoint that hangs
        for n in range(5):
            assert store.put(b"/k", b"%d" % n) == first + 1 + n


def test_an_endpoint_that_came_back_is_used_when_the_other_one_hangs(
    etcd: EtcdServer, hanging: FaultProxy, etcd_store_for: MakeStore
) -> None:
    second = FaultProxy(etcd.port)
    store = etcd_store_for(hanging.url, second.url, timeout=0.5)
    try:
        for here, there in ((hanging, second), (second, hanging)):
            here.black_hole()
            store.put(b"/k", b"")
            here.heal()
            there.black_hole()
            store.put(b"/k", b"")
            there.heal()
    finally:
        second.close()


def test_a_worker_whose_endpoint_hangs_goes_on_at_the_other_and_misses_nothing(
    etcd: EtcdServer,
    hanging: FaultProxy,
    etcd_store_for: MakeStore,
    impatient: None,
    tmp_path: Path,
) -> None:
    worker = following_store(tmp_path, etcd_store_for(hanging.url, etcd.url), "/gw").start()
    try:
        etcd.ctl("put", "/gw/things/1", json.dumps({"n": 0}))
        assert worker.change() == ("1", 0)
        hanging.black_hole()
        for n in range(1, 6):
            etcd.ctl("put", "/gw/things/1", json.dumps({"n": n}))
        assert [worker.change() for _ in range(5)] == [("1", n) for n in range(1, 6)]
    finally:
        worker.stop()
