"""The load, and what it takes: CPU time of processes per request, and latencies."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Waited:
    """What a load of requests that wait has shown."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time, user's and system's, of the main threads of processes, to the nanosecond."""
    texts = (Path(f"/proc/{pid}/schedstat").read_text() for pid in pids)
    return sum(int(text.split()[0]) for text in texts) / 1e9


def cost(port: int, pids: Sequence[int], path: str, count: int) -> float:
    """CPU microseconds of these processes per request of that path."""
    request = f"GET /{path} HTTP/1.1\r\nHost: b\r\nX-Team: blue\r\n\r\n".encode()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    before, turns = cpu_seconds(pids), count // CONNECTIONS
    for _ in range(turns):
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            answer = connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"0\r\n\r\n"):
                raise RuntimeError(f"/{path} was answered {answer!r}")
    spent = cpu_seconds(pids) - before
    for connection in connections:
        connection.close()
    return spent / (turns * CONNECTIONS) * 1e6


def waiting(
    port: int, pids: Sequence[int], path: str, seconds: float, connections: int = 100
) -> Waited:
    """Load a path from wrk on `connections` connections."""
    before = cpu_seconds(pids)
    output = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-H", "X-Team: blue",
         f"http://127.0.0.1:{port}/{path}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    spent = cpu_seconds(pids) - before
    count = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if "Non-2xx" in output or "Socket errors" in output or not count or not rate:
        raise RuntimeError(f"answers were wrong:\n{output}")
    return Waited(
        float(rate[1]), _latency(output, 50), _latency(output, 99), spent / int(count[1]) * 1e6
    )


def _latency(output: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", output, re.M)
    if not found:
        raise RuntimeError(f"no latencies in:\n{output}")
    return float(found[1]) * _MS[found[2]]
