"""Measure ngx.shared.DICT of pygw against that of nginx + ngx_lua, on this machine, in one run.

    python benchmarks/shdict.py [--rounds 5] [--seconds 0.5]

A content handler, the same Lua file in both servers, loops over one operation on 1,000 keys: alone,
and in two processes at the same time on one dictionary, each process on a core of its own. Servers
take turns, so that what else the machine does hits both alike. The table is kept in
benchmarks/shdict.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from shdict_servers import Figures, Server, start_nginx, start_pygw

TABLE = Path(__file__).with_suffix(".md")
OPERATIONS = ("get", "set", "incr")
Case = tuple[str, int]  # operation, processes
CASES: list[Case] = [(name, count) for count in (1, 2) for name in OPERATIONS]
Samples = dict[tuple[str, Case], list[list[Figures]]]  # by server and case, a list of rounds


def main() -> int:
    """Run the benchmark; returns an exit code."""
    options = _options()
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin"):
        print("bench: not run: install nginx, libnginx-mod-http-lua (Debian)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="pygw-bench-") as name:
        directory = Path(name)
        with start_nginx(directory) as nginx, start_pygw(directory) as pygw:
            samples = _run([nginx, pygw], options)
    table = _table(samples)
    print(table)
    TABLE.write_text(_document(table, options), encoding="utf-8")
    return 0


def _run(servers: list[Server], options: argparse.Namespace) -> Samples:
    samples: Samples = {}
    for round_number in range(options.rounds + 1):  # the first one warms up
        for case in CASES:
            for server in servers:
                found = server.measure(*case, options.seconds)
                if round_number:
                    samples.setdefault((server.name, case), []).append(found)
    return samples


def _rate(rounds: list[list[Figures]]) -> float:
    """Millions of operations a second, of all processes together."""
    return statistics.median(sum(each.rate for each in found) for found in rounds) / 1e6


def _cpu(rounds: list[list[Figures]]) -> float:
    """Nanoseconds of CPU time that one operation took."""
    costs = [
        sum(each.cpu for each in found) / sum(each.operations for each in found) for found in rounds
    ]
    return statistics.median(costs) * 1e9


def _table(samples: Samples) -> str:
    rows = [
        "| operation | processes | nginx, M/s | pygw, M/s | pygw/nginx"
        " | nginx, CPU ns | pygw, CPU ns |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        name, processes = case
        theirs, ours = samples["nginx", case], samples["pygw", case]
        rows.append(
            f"| {name} | {processes} | {_rate(theirs):.1f} | {_rate(ours):.1f}"
            f" | {_rate(ours) / _rate(theirs):.2f}× | {_cpu(theirs):.0f} | {_cpu(ours):.0f} |"
        )
    return "\n".join(rows)


def _document(table: str, options: argparse.Namespace) -> str:
    return (
        "# ngx.shared.DICT, beside nginx's\n\n"
        f"`python benchmarks/shdict.py`; {_machine()}; medians of {options.rounds} rounds of"
        f" {options.seconds:g} s. 1,000 keys; values of some 30 bytes; millions of operations a"
        " second, of two processes together where there are two; CPU time per operation.\n\n"
        f"{table}\n"
    )


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    return model[1] if model else "an unknown processor"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds each (default 0.5)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
