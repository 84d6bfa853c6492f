"""Health checks of a gateway in several processes: what one worker finds out all of them know."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pygw.control import settled

from .conftest import PATIENCE, Gateway

WORKERS = 2
ASKED = 24  # connections, among which both workers' are
WHERE = """
local core = require "apisix.core"
local _M = { version = 0.1, priority = 1, name = "where", schema = { type = "object" } }
function _M.check_schema()
    return true
end
function _M.header_filter()
    core.response.set_header("X-Worker", ngx.worker.pid())
end
return _M
"""


class Node:
    """An upstream node; `status` is what it answers, `asked` how often it was, but for probes.

    Probes are answered `probed`, if that is something else; `last_probe` is what the last one was.
    """

    def __init__(self) -> None:
        self.status, self.asked = 200, 0
        self.probed: int | None = None
        self.last_probe: int | None = None
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_probe = self.path == "/health"
                status = node.probed or node.status if is_probe else node.status
                if is_probe:
                    node.last_probe = status
                else:
                    node.asked += 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.send_header("X-Node", node.address)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing is to be read in the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def pair() -> Iterator[tuple[Node, Node]]:
    nodes = Node(), Node()
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def gateway(start: Any) -> Any:
    return start(files={"where.lua": WHERE}, plugins=["where"], pygw={"plugin_dirs": ["."]})


@contextlib.contextmanager
def lines(gateway: Gateway) -> Iterator[dict[int, HTTPConnection]]:
    """A connection to each worker, by its pid."""
    found: dict[int, HTTPConnection] = {}
    try:
        deadline = time.monotonic() + PATIENCE
        while len(found) < WORKERS:
            assert time.monotonic() < deadline
            line = HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE)
            pid = int(get(line)["X-Worker"])
            if pid in found:
                line.close()
            else:
                found[pid] = line
        yield found
    finally:
        for line in found.values():
            line.close()


def get(line: HTTPConnection) -> Any:
    line.request("GET", "/x")
    response = line.getresponse()
    response.read()
    response.headers["status"] = str(response.status)
    return response.headers


def nodes_of(line: HTTPConnection, count: int = 6) -> set[str]:
    return {get(line)["X-Node"] for _ in range(count)}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def told(gateway: Gateway) -> list[dict[str, str]]:
    """What many askings of the Control API tell, each alike once: address -> status."""
    seen: list[dict[str, str]] = []
    for _ in range(ASKED):
        nodes = gateway.control("/v1/healthcheck/upstreams/u").json["nodes"] or []
        state = {f"{node['ip']}:{node['port']}": node["status"] for node in nodes}
        if state not in seen:
            seen.append(state)
    return seen


def begin(gateway: Gateway, pair: tuple[Node, Node], **checks: Any) -> None:
    nodes = {node.address: 1 for node in pair}
    upstream = {"type": "roundrobin", "nodes": nodes, "checks": checks}
    assert gateway.admin("PUT", "upstreams/u", upstream).status == 201
    route = {"uri": "/x", "upstream_id": "u", "plugins": {"where": {}}}
    assert gateway.admin("PUT", "routes/r", route).status == 201
    assert settled(gateway.control_port).settled


def probes(**healthy: Any) -> dict[str, Any]:
    return {
        "http_path": "/health",
        "healthy": {"successes": 1, "http_statuses": [200], **healthy},
        "unhealthy": {"interval": 1, "http_failures": 1, "http_statuses": [500]},
    }


def test_what_probes_find_all_workers_know(gateway: Gateway, pair: tuple[Node, Node]) -> None:
    good, bad = pair
    begin(gateway, pair, active=probes(interval=1))
    well = dict.fromkeys((good.address, bad.address), "healthy")
    with lines(gateway) as workers:
        until(lambda: told(gateway) == [well])
        bad.status = 500
        until(lambda: told(gateway) == [{**well, bad.address: "unhealthy"}])
        for line in workers.values():
            until(lambda line=line: nodes_of(line) == {good.address})
        bad.asked = 0
        assert [nodes_of(line) for line in workers.values()] == [{good.address}] * WORKERS
        assert bad.asked == 0
        page = gateway.control("/v1/healthcheck/upstreams/u", Accept="text/html").body.decode()
        assert f"<td>{bad.address}</td><td>unhealthy</td>" in page
        assert page.count('bgcolor="#FF0000"') == 1
        bad.status = 200
        until(lambda: told(gateway) == [well])
        for line in workers.values():
            until(lambda line=line: nodes_of(line) == {good.address, bad.address})


def test_what_requests_meet_at_one_worker_all_workers_know(
    gateway: Gateway, pair: tuple[Node, Node]
) -> None:
    good, bad = pair
    failed = {"http_failures": 2, "http_statuses": [500]}
    begin(gateway, pair, active=probes(interval=1), passive={"unhealthy": failed})
    with lines(gateway) as workers:
        one, other = workers.values()
        for status, usable in ((500, {good.address}), (200, {good.address, bad.address})):
            bad.probed = status  # now each worker is seen to have its checker
            until(lambda usable=usable: nodes_of(one) == nodes_of(other) == usable)
        bad.probed = 404  # speaks neither for nor against it
        until(lambda: bad.last_probe == 404)
        bad.status = 500
        until(lambda: get(one)["status"] == "200" and nodes_of(one) == {good.address})
        assert bad.asked >= 2
        bad.asked = 0
        assert nodes_of(other, 10) == {good.address}
        assert bad.asked == 0, "the other worker had to find out for itself"
        assert [state[bad.address] for state in told(gateway)] == ["unhealthy"]
        bad.status = bad.probed = 200
        until(lambda: nodes_of(one) == nodes_of(other) == {good.address, bad.address})
        assert [state[bad.address] for state in told(gateway)] == ["healthy"]


def test_probing_goes_on_when_the_worker_that_probes_dies(
    gateway: Gateway, pair: tuple[Node, Node]
) -> None:
    good, bad = pair
    begin(gateway, pair, active=probes(interval=1))
    with lines(gateway) as workers:
        pids = list(workers)
        until(lambda: len(told(gateway)[0]) == len(pair))
    for pid in pids:  # whichever it is
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: pid not in children(gateway))
        bad.status = 500 if bad.status == 200 else 200
        state = "unhealthy" if bad.status == 500 else "healthy"
        with lines(gateway) as workers:
            for line in workers.values():
                get(line)
            until(lambda state=state: [s.get(bad.address) for s in told(gateway)] == [state])


def children(gateway: Gateway) -> set[int]:
    pid = gateway.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return {int(child) for child in file.read().split()}
