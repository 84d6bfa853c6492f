"""One measurement: load from wrk on core 1, the gateway process's CPU time out of /proc."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import Protocol

_TICK = os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Target(Protocol):
    """What can be measured: a port, and the process that serves it."""

    port: int
    pid: int


@dataclass
class Sample:
    """Figures of one round."""

    rate: float
    user_us: float
    system_us: float
    p50_ms: float
    p99_ms: float
    rss_mib: float

    def __str__(self) -> str:
        return (
            f"{self.rate:,.0f} requests/s, user {self.user_us:.1f} µs, system"
            f" {self.system_us:.1f} µs, p99 {self.p99_ms:.2f} ms"
        )


def measure(target: Target, seconds: float, connections: int) -> Sample:
    """Load the target and return what it took. Raises RuntimeError when answers were wrong."""
    before = _cpu(target.pid)
    output = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency",
         "-H", "X-Bench: 1", f"http://127.0.0.1:{target.port}/bench"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    after = _cpu(target.pid)
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"answers were wrong:\n{output}")
    found = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not found or not rate or int(found[1]) == 0:
        raise RuntimeError(f"no figures in:\n{output}")
    count = int(found[1])
    return Sample(
        rate=float(rate[1]),
        user_us=(after[0] - before[0]) / _TICK * 1e6 / count,
        system_us=(after[1] - before[1]) / _TICK * 1e6 / count,
        p50_ms=_percentile(output, "50%"),
        p99_ms=_percentile(output, "99%"),
        rss_mib=_rss(target.pid),
    )


def _cpu(pid: int) -> tuple[int, int]:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def _rss(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _percentile(output: str, name: str) -> float:
    found = re.search(rf"^\s+{name}\s+([\d.]+)(us|ms|s)$", output, re.M)
    if not found:
        raise RuntimeError(f"no {name} in:\n{output}")
    return float(found[1]) * _UNITS[found[2]]
