"""The barrier while workers stand still, die and are replaced, or the store is away or another."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.etcd_server import EtcdServer

from pygw.control import ControlError, settled

from .conftest import PATIENCE, Gateway, ask_until

WORKERS = 4
ROUNDS = 200
WHO = """
local _M = { version = 0.1, priority = 1, name = "who", schema = { type = "object" } }
function _M.init()
    local hold = io.open("hold")
    while hold do
        hold:close()
        os.execute("sleep 0.05")
        hold = io.open("hold")
    end
end
function _M.check_schema()
    return true
end
function _M.access(conf)
    ngx.sleep(tonumber(ngx.var.arg_wait) or 0)
    return 200, { id = ngx.worker.id(), pid = ngx.worker.pid(), n = conf.n }
end
return _M
"""


def config(etcd: EtcdServer | None = None, workers: int = WORKERS) -> dict[str, Any]:
    deployment: dict[str, Any] = {}
    if etcd:
        role = {"config_provider": "etcd"}
        deployment = {"role_traditional": role, "etcd": {"host": [etcd.url], "timeout": 5}}
    return {
        "files": {"who.lua": WHO},
        "plugins": ["who"],
        "pygw": {"plugin_dirs": ["."]},
        "nginx_config": {"worker_processes": workers, "error_log": "error.log"},
        "deployment": deployment,
    }


def write(gateway: Gateway, n: int) -> int:
    """Write the route; its revision."""
    route = {"uri": "/who", "plugins": {"who": {"n": n}}}
    reply = gateway.admin("PUT", "routes/who", route)
    assert reply.status < 300, reply.body
    revision: int = gateway.admin("GET", "routes/who").json["modifiedIndex"]
    return revision


def pids(gateway: Gateway) -> dict[int, int]:
    """The workers by id, as they answer."""
    found: dict[int, int] = {}
    while len(found) < WORKERS:
        answer = gateway.get("/who").json
        found[answer["id"]] = answer["pid"]
    return found


@pytest.fixture(scope="module", params=["embedded", "etcd"])
def gateway(module_start: Any, request: pytest.FixtureRequest) -> Any:
    etcd = request.getfixturevalue("etcd") if request.param == "etcd" else None
    return module_start(**config(etcd))


def test_after_a_load_of_writes_nobody_serves_what_was(gateway: Gateway) -> None:
    oldest: list[int] = [0]  # what may still be served
    faults: list[Any] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            least = oldest[0]
            reply = gateway.get("/who")
            if reply.status != 200 or reply.json["n"] < least:
                faults.append((least, reply.status, reply.body))

    revision = write(gateway, 0)
    assert settled(gateway.control_port, revision).settled
    readers = [threading.Thread(target=watch) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for n in range(1, ROUNDS + 1):
            revision = write(gateway, n)
            if n % 10 == 0:
                found = settled(gateway.control_port, revision, timeout=PATIENCE)
                assert found.settled
                assert set(found.workers) == set(range(WORKERS))
                oldest[0] = n
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert not faults
    answers = [gateway.get("/who").json for _ in range(8 * WORKERS)]
    assert {answer["n"] for answer in answers} == {ROUNDS}


def test_a_stopped_worker_is_named(gateway: Gateway) -> None:
    write(gateway, -1)
    assert settled(gateway.control_port).settled
    victim = pids(gateway)[2]
    os.kill(victim, signal.SIGSTOP)
    try:
        revision = write(gateway, -2)
        path = f"/v1/config/settled?revision={revision}&timeout=0.5"
        reply = ask_until(gateway.control_port, path, lambda r: r.json["late"] == [2])
        assert (reply.status, reply.json["settled"]) == (504, False)
        by_id = {worker["id"]: worker for worker in reply.json["workers"]}
        assert by_id[2]["revision"] < revision <= by_id[0]["revision"]
    finally:
        os.kill(victim, signal.SIGCONT)
    assert settled(gateway.control_port, revision, timeout=PATIENCE).settled


def test_a_worker_that_dies_is_waited_for_until_its_successor_is_there(gateway: Gateway) -> None:
    revision = write(gateway, 7)
    assert settled(gateway.control_port, revision).settled
    before = pids(gateway)
    hold = gateway.directory / "hold"  # a worker that starts waits while it is there
    hold.touch()
    try:
        os.kill(before[1], signal.SIGKILL)
        reply = ask_until(gateway.status_port, "/status/ready", lambda r: r.status == 503)
        assert reply.json["error"] == "worker id: 1 has not received configuration"
        path = f"/v1/config/settled?revision={revision}&timeout=0"
        reply = ask_until(gateway.control_port, path, lambda r: r.status == 504)
        assert reply.json["late"] == [1]
    finally:
        hold.unlink()
    ask_until(gateway.status_port, "/status/ready", lambda r: r.status == 200)
    assert settled(gateway.control_port, revision, timeout=PATIENCE).settled
    after = pids(gateway)
    assert after.pop(1) != before.pop(1)
    assert after == before


def test_workers_that_finish_are_not_waited_for(gateway: Gateway) -> None:
    write(gateway, 8)
    assert settled(gateway.control_port).settled
    old = set(pids(gateway).values())
    answers: list[Any] = []
    slow = threading.Thread(target=lambda: answers.append(gateway.get("/who?wait=6").json))
    slow.start()
    gateway.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE
    while old & set(pids(gateway).values()):
        assert time.monotonic() < deadline
    revision = write(gateway, 9)
    assert settled(gateway.control_port, revision, timeout=PATIENCE).settled
    in_hand = slow.is_alive()
    slow.join()
    assert answers[0]["pid"] in old
    assert in_hand, "the barrier has waited for a worker that finishes"


def test_without_the_store_the_barrier_says_so(start: Any, own_etcd: EtcdServer) -> None:
    gateway = start(**config(own_etcd, workers=2))
    revision = write(gateway, 1)
    assert settled(gateway.control_port, revision).settled
    own_etcd.stop()
    began = time.monotonic()
    with pytest.raises(ControlError, match="503"):
        settled(gateway.control_port, revision, timeout=0.1)
    assert time.monotonic() - began < 4, "it is the store's time limit that is waited for"
    own_etcd.resume()
    assert settled(gateway.control_port, revision, timeout=PATIENCE).settled
    own_etcd.kill()
    with pytest.raises(ControlError, match="503"):
        settled(gateway.control_port, revision, timeout=0.5)
    own_etcd.start()
    assert settled(gateway.control_port, revision, timeout=PATIENCE).settled


def test_revisions_from_before_a_restoration_count_for_nothing(
    start: Any, own_etcd: EtcdServer, tmp_path: Path
) -> None:
    gateway = start(**config(own_etcd))
    write(gateway, 1)
    snapshot = tmp_path / "snapshot.db"
    own_etcd.ctl("snapshot", "save", str(snapshot))
    for n in range(2, 12):
        revision = write(gateway, n)
    assert settled(gateway.control_port, revision).settled
    own_etcd.restore(snapshot)
    found = settled(gateway.control_port, timeout=PATIENCE)
    assert found.settled
    assert found.revision < revision
    assert {gateway.get("/who").json["n"] for _ in range(8 * WORKERS)} == {1}
    lower = write(gateway, 20)
    assert lower < revision
    assert settled(gateway.control_port, lower, timeout=PATIENCE).settled
    assert {gateway.get("/who").json["n"] for _ in range(8 * WORKERS)} == {20}
    assert settled(gateway.control_port, revision, timeout=0.1).settled is False
