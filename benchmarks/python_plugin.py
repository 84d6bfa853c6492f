"""Measure what a phase of a Python plugin costs, beside Lua's and a runner in another process.

    python benchmarks/python_plugin.py [--rounds 40] [--requests 1000] [--seconds 4]
                                       [--apisix DIR --lua-tree DIR]

One gateway with one worker answers requests by itself. The CPU time of a route with a plugin (user
and system, of the worker, and of the runner where there is one), minus that of the route without,
is what the plugin costs. All are measured in turn, often and shortly, and the least of each counts:
what else the machine does only adds. Then 100 connections load routes whose plugin waits for 10 ms.
The runner is APISIX's way of plugins in other languages (ext-plugin); python_phases/runner.py says
what stands in for it, bench-runner.lua is the gateway's side. --apisix, --lua-tree: a checkout of
APISIX and a LuaRocks tree of its libraries, for its own side of the protocol beside ours. The
tables are kept in benchmarks/python_plugin.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from python_phases import load
from python_phases.gateway import ORIGINAL, Original, Served, serving

RESULTS = Path(__file__).with_suffix(".md")
OURS = "py-header"

# route -> (its plugins, what it shows)
COSTS = {
    "lua-header": ("lua-header: {}", "Lua: reads one header and sets one"),
    OURS: ("py-header: {}", "Python: the same"),
    "struct": ('bench-runner: {{path: "{struct}"}}', "a runner as cheap as can be: the same"),
    "package": ('bench-runner: {{path: "{package}"}}', "a runner with flatbuffers: the same"),
    ORIGINAL: (
        f'{ORIGINAL}: {{{{conf: [{{{{name: a, value: ""}}}}]}}}}',
        "a runner with flatbuffers, APISIX's side: the same",
    ),
    "py-empty": ("py-empty: {}", "Python: nothing"),
    "py-four": ("py-four: {}", "Python: nothing, in four phases"),
    "py-reading": ("py-reading: {}", "Python: reads a header"),
    "py-variable": ("py-variable: {}", "Python: reads a variable and sets a header"),
    "py-turn": ("py-turn: {}", "Python: waits for gevent's loop once"),
}
WAITS = {
    "lua-block": ("lua-block: {}", "Lua: ngx.sleep"),
    "py-block": ("py-block: {}", "Python: gevent.sleep"),
    "struct-block": ('bench-runner: {{path: "{struct}", block: true}}', "a runner that waits"),
}
# route -> its runner
BY_RUNNER = {
    "struct": "struct",
    "package": "package",
    ORIGINAL: "package",
    "struct-block": "struct",
}


def main() -> int:
    """Run the benchmark; returns an exit code."""
    options = _options()
    if not shutil.which("wrk"):
        print("bench: not run: install wrk (a Debian package)", file=sys.stderr)
        return 1
    original = Original(options.apisix, options.lua_tree) if options.apisix else None
    routes = {"none": ""}
    for name, (plugins, _) in {**COSTS, **WAITS}.items():
        wanted = {ORIGINAL: original, "package": find_spec("flatbuffers")}
        if wanted.get(name, True):
            routes[name] = plugins if "{{" in plugins else plugins.replace("{}", "{{}}")
    with (
        tempfile.TemporaryDirectory(prefix="pygw-bench-") as directory,
        serving(Path(directory), routes, original) as served,
    ):
        names = [name for name in COSTS if name in routes]
        text = f"{_costs(served, names, options)}\n\n{_waits(served, options)}"
    print(text)
    if not options.dry:
        RESULTS.write_text(_document(text, options), encoding="utf-8")
    return 0


def _costs(served: Served, names: list[str], options: argparse.Namespace) -> str:
    for name in ["none", *names]:
        load.cost(served.port, [served.worker], name, 2 * options.requests)  # the JIT's traces
    found: dict[str, list[float]] = {name: [] for name in ["none", *names]}
    for _ in range(options.rounds):
        for name, samples in found.items():
            samples.append(load.cost(served.port, _pids(served, name), name, options.requests))
    bare = found.pop("none")
    least = {name: min(samples) - min(bare) for name, samples in found.items()}
    rows = [
        f"A request without a plugin: {min(bare):.1f} µs of CPU ({statistics.median(bare):.1f} in"
        " the median). With one, more:\n",
        f"| plugin | µs | in the median | of {OURS} |",
        "|---|---|---|---|",
    ]
    for name, samples in found.items():
        median = statistics.median(samples) - statistics.median(bare)
        ratio = f"{least[name] / least[OURS]:.1f}×"
        rows.append(f"| {COSTS[name][1]} | {least[name]:.1f} | {median:.1f} | {ratio} |")
    return "\n".join(rows)


def _pids(served: Served, name: str) -> list[int]:
    runner = BY_RUNNER.get(name)
    return [served.worker, served.runners[runner]] if runner else [served.worker]


def _waits(served: Served, options: argparse.Namespace) -> str:
    found: dict[str, list[load.Waited]] = {name: [] for name in WAITS}
    for turn in range(4):
        for name, samples in found.items():
            seconds = options.seconds if turn else 1.0  # the first warms up
            sample = load.waiting(served.port, _pids(served, name), name, seconds)
            samples += [sample] if turn else []
    rows = [
        "100 connections, a plugin that waits for 10 ms (at most 10,000 requests/s):\n",
        "| plugin | requests/s | p50, ms | p99, ms | CPU, µs a request |",
        "|---|---|---|---|---|",
    ]
    for name, samples in found.items():
        figures = [
            statistics.median(getattr(each, figure) for each in samples)
            for figure in ("rate", "p50_ms", "p99_ms", "cpu_us")
        ]
        rate, p50, p99, cpu = figures
        rows.append(f"| {WAITS[name][1]} | {rate:,.0f} | {p50:.1f} | {p99:.1f} | {cpu:.1f} |")
    return "\n".join(rows)


def _document(text: str, options: argparse.Namespace) -> str:
    return (
        "# What a Python phase costs\n\n"
        f"`python benchmarks/python_plugin.py`, {datetime.date.today()}, commit {_commit()};"
        f" {_machine()}; {os.cpu_count()} cores, which the load shares; {options.rounds} rounds of"
        f" {options.requests} requests.\n\n"
        f"{text}\n"
    )


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{model[1] if model else os.uname().machine}, Python {version}"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=40, help="measured rounds (default 40)")
    parser.add_argument("--requests", type=int, default=1000, help="requests in each")
    parser.add_argument("--seconds", type=float, default=4, help="of each load that waits")
    parser.add_argument("--apisix", type=Path, help="a checkout, for its own side of the runner")
    parser.add_argument("--lua-tree", type=Path, help="a LuaRocks tree of its libraries")
    parser.add_argument("--dry", action="store_true", help="keep nothing")
    options = parser.parse_args()
    if bool(options.apisix) != bool(options.lua_tree):
        parser.error("--apisix and --lua-tree belong together")
    return options


if __name__ == "__main__":
    sys.exit(main())
