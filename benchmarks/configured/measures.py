"""Owns what is measured of a gateway with a store; each returns figures, none prints."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.load import Sample, measure

from configured.gateway import Admin, Client, Gateway, running
from configured.stores import opened

_CONNECTIONS_A_WORKER = 4  # the kernel deals them out; so each worker has one, nearly always
_QUIET = 0.15  # seconds in which requests are watched after a change, and as long without one


@dataclass
class Delays:
    """Milliseconds from an acknowledged PUT to its being served."""

    p50: float
    p99: float
    worst: float
    count: int


@dataclass
class Cold:
    """A start: seconds until the last route is served, MiB of the worker then."""

    seconds: float
    rss_mib: float


@dataclass
class Change:
    """One route changed: CPU ms in the worker; the longest answer in ms after it, and without."""

    cpu_ms: float
    pause_p50: float
    pause_worst: float
    idle_p50: float
    idle_worst: float


def route(number: int, upstream: int) -> dict[str, Any]:
    """A route of its own path, proxied to a port of this machine."""
    return {
        "id": str(number),
        "uri": _path(number),
        "plugins": {"proxy-rewrite": {"headers": {"set": {"X-Route": str(number)}}}},
        "upstream": {"type": "roundrobin", "nodes": {f"127.0.0.1:{upstream}": 1}},
    }


def _path(number: int) -> str:
    return "/bench" if number == 0 else f"/shop/{number % 97}/item/{number}"


def _answering(text: str) -> dict[str, Any]:
    abort = {"http_status": 200, "body": text}
    return {"uri": "/changed", "plugins": {"fault-injection": {"abort": abort}}}


def _routes(count: int, upstream: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(count):
        yield f"routes/{number}", route(number, upstream)
    yield "routes/changed", {"id": "changed", **_answering("0")}


def put_to_served(store: str, workers: int, count: int, directory: Path, upstream: int) -> Delays:
    """PUT one route of ten `count` times; each delay is until all connections have the new one."""
    delays = []
    with opened(store, directory) as place:
        place.fill(_routes(10, upstream))
        with running(place, directory / "gateway", workers, "/changed") as (gateway, _):
            admin = Admin(gateway.admin_port)
            clients = _clients(gateway, "/changed", workers)
            for turn in range(1, count + 1):
                admin.put("routes/changed", _answering(f"turn {turn}."))
                begun = time.perf_counter()
                _until_all(clients, f"turn {turn}.".encode())
                delays.append((time.perf_counter() - begun) * 1000)
            _close(clients)
    delays.sort()
    return Delays(statistics.median(delays), _percentile(delays, 99), delays[-1], count)


def _clients(gateway: Gateway, path: str, workers: int) -> list[Client]:
    count = 1 if workers == 1 else workers * _CONNECTIONS_A_WORKER
    return [Client(gateway.port, path) for _ in range(count)]


def _until_all(clients: list[Client], text: bytes) -> None:
    waiting = clients
    while waiting:
        for client in waiting:
            client.send()
        waiting = [client for client in waiting if text not in client.receive()]


def _close(clients: list[Client]) -> None:
    for client in clients:
        client.close()


def _percentile(ascending: list[float], percent: float) -> float:
    return ascending[min(len(ascending) - 1, int(len(ascending) * percent / 100))]


def filled(
    store: str, count: int, directory: Path, upstream: int, then: Callable[[Gateway], Any] | None
) -> tuple[Cold, Any]:
    """Start a gateway with `count` routes on core 0; returns its start, and what `then` returns."""
    with opened(store, directory) as place:
        place.fill(_routes(count, upstream))
        home = directory / "gateway"
        with running(place, home, 1, _path(count - 1), core=0) as (gateway, seconds):
            cold = Cold(seconds, gateway.rss_mib())
            return cold, then(gateway) if then else None


def change_one(gateway: Gateway, count: int) -> Change:
    """Change one route `count` times, requests on one connection going on meanwhile."""
    admin, client = Admin(gateway.admin_port), Client(gateway.port, "/changed")
    admin.put("routes/changed", _answering("first"))
    _until_all([client], b"first")
    idle = [_longest(client) for _ in range(count)]
    pauses = []
    for turn in range(count):
        admin.put("routes/changed", _answering(f"turn {turn}."))
        pauses.append(_longest(client))
        _until_all([client], f"turn {turn}.".encode())
    cpu = _cpu_of_changes(gateway, admin, count)
    client.close()
    return Change(cpu, statistics.median(pauses), max(pauses), statistics.median(idle), max(idle))


def _longest(client: Client) -> float:
    """The longest answer, in ms, of those within _QUIET."""
    longest, now = 0.0, time.perf_counter()
    end = now + _QUIET
    while now < end:
        client.ask()
        before, now = now, time.perf_counter()
        longest = max(longest, now - before)
    return longest * 1000


def _cpu_of_changes(gateway: Gateway, admin: Admin, count: int) -> float:
    """CPU ms of a change without requests; what the worker does anyway is subtracted."""
    before, begun = gateway.cpu_seconds(), time.perf_counter()
    for turn in range(count):
        admin.put("routes/changed", _answering(f"cpu {turn}"))
    time.sleep(_QUIET)
    spent, took = gateway.cpu_seconds() - before, time.perf_counter() - begun
    before = gateway.cpu_seconds()
    time.sleep(took)
    return (spent - (gateway.cpu_seconds() - before)) / count * 1000


def requests(gateway: Gateway, seconds: float) -> Sample:
    """Load on one proxied route."""
    target = _Target(gateway.port, gateway.pids[0])
    measure(target, 1.0, 32)  # warm-up, not counted
    return measure(target, seconds, 32)


@dataclass
class _Target:
    port: int
    pid: int


def spread(gateway: Gateway, count: int, seconds: float, directory: Path) -> float:
    """Requests a second over all routes in turn, whatever their order."""
    script = directory / "spread.lua"
    script.write_text(_SPREAD % count, encoding="ascii")
    output = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds:g}s", "-s", str(script),
         f"http://127.0.0.1:{gateway.port}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not found or "Non-2xx" in output:
        raise RuntimeError(f"answers were wrong:\n{output}")
    return float(found[1])


_SPREAD = """
local count, at = %d, 1
function request()
    at = at %% count + 1
    local number = (at * 7919) %% (count - 1) + 1
    return wrk.format("GET", "/shop/" .. number %% 97 .. "/item/" .. number)
end
"""
