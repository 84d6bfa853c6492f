"""Measure pygw against nginx + ngx_lua on this machine, in one run, and print a table.

    python benchmarks/run.py [--rounds 3] [--seconds 4] [--connections 32]

Each contestant proxies the same small response, over keep-alive connections on both sides, and (but
for the bare nginx) does the same three things in Lua: read a header, set a request header, set a
response header. The gateway process runs on core 0; load and upstream on core 1. What counts is the
CPU time of the gateway process per request, out of /proc: on a shared machine it is steadier than
requests per second. The last table is kept in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from gateway.contestants import Contestant, contestants, start_upstream
from gateway.load import Sample, measure

RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = {"nginx": "nginx", "wrk": "wrk"}
BASELINE = "nginx + ngx_lua"


@dataclass
class Series:
    """The samples of one contestant."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def median(self, figure: str) -> float:
        return float(statistics.median(getattr(sample, figure) for sample in self.samples))


def main() -> int:
    """Run the benchmark; returns an exit code."""
    options = _options()
    missing = [
        package for tool, package in PACKAGES.items() if not shutil.which(tool, path=_path())
    ]
    if missing:
        print(f"bench: not run: install {', '.join(missing)} (Debian packages)", file=sys.stderr)
        return 1
    if (os.cpu_count() or 1) < 2:
        print("bench: not run: two cores are needed, one for the gateway alone", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="pygw-bench-") as directory:
        series = _run(Path(directory), options)
    table = _table(series)
    print(table)
    RESULTS.write_text(_document(table, options), encoding="utf-8")
    return 0


def _run(directory: Path, options: argparse.Namespace) -> list[Series]:
    found = [Series(contestant.name) for contestant in contestants()]
    with start_upstream(directory) as upstream_port:
        running: list[Contestant] = []
        try:
            for contestant in contestants():
                contestant.start(directory, upstream_port)
                running.append(contestant)
                measure(contestant, 1.0, options.connections)  # warm-up, not counted
            for _ in range(options.rounds):  # in turn, so that drift hits all alike
                for contestant, series in zip(running, found, strict=True):
                    sample = measure(contestant, options.seconds, options.connections)
                    series.samples.append(sample)
                    print(f"  {contestant.name}: {sample}", file=sys.stderr)
        finally:
            for contestant in running:
                contestant.stop()
    return found


def _table(series: list[Series]) -> str:
    base = next(each for each in series if each.name == BASELINE)
    rows = [
        "| gateway | requests/s | user µs/request | system µs/request | user ratio | CPU ratio"
        " | p50 ms | p99 ms | RSS MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in series:
        user, system = each.median("user_us"), each.median("system_us")
        rows.append(
            f"| {each.name} | {each.median('rate'):,.0f} | {user:.1f} | {system:.1f}"
            f" | {user / base.median('user_us'):.2f}×"
            f" | {(user + system) / (base.median('user_us') + base.median('system_us')):.2f}×"
            f" | {each.median('p50_ms'):.2f} | {each.median('p99_ms'):.2f}"
            f" | {each.median('rss_mib'):.0f} |"
        )
    return "\n".join(rows)


def _document(table: str, options: argparse.Namespace) -> str:
    return (
        "# The last run of `make bench`\n\n"
        f"{_machine()}; {options.connections} keep-alive connections, medians of {options.rounds}"
        f" rounds of {options.seconds:g} s; ratios against {BASELINE} in the same run.\n\n"
        f"{table}\n"
    )


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{model[1] if model else os.uname().machine}, Python {version}"


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=4, help="seconds a round (default 4)")
    parser.add_argument("--connections", type=int, default=32, help="connections (default 32)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
