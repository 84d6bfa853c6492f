"""Measure what changes of configuration cost pygw, and how it bears many routes.

    python benchmarks/config.py [--quick]

Four things, each against a real gateway (`pygw run`) with a real store, etcd and the embedded one:
the time from an acknowledged PUT at the Admin API to the first request that it serves; a start with
many routes; one route changed among many, in CPU time of the worker and as the longest answer
meanwhile, beside the longest without a change, which is the machine's; requests a second with few
routes and many. The last tables are kept in benchmarks/config.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from configured import measures, stores
from configured.gateway import Gateway
from gateway.contestants import start_upstream
from gateway.load import Sample

RESULTS = Path(__file__).parent / "config.md"
WORKERS = (1, 4)
STARTS, CHANGES, LOADS = (100, 10_000, 100_000), (5_000, 100_000), (10, 100_000)
QUICK_STARTS, QUICK_CHANGES, QUICK_LOADS = (100,), (5_000,), (10,)

Directory = Callable[[], Path]


def main() -> int:
    """Run the benchmark; returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few routes and turns; keep nothing")
    quick = parser.parse_args().quick
    missing = [tool for tool in ("nginx", "wrk") if not _has(tool)]
    if missing:
        print(f"bench: not run: install {', '.join(missing)} (Debian packages)", file=sys.stderr)
        return 1
    found = [name for name in stores.NAMES if stores.available(name)]
    for name in set(stores.NAMES) - set(found):
        print(f"bench: without {name}, which this machine does not have", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="pygw-bench-") as base:
        directories = (Path(base) / str(number) for number in range(1000))

        def directory() -> Path:
            made = next(directories)
            made.mkdir()
            return made

        with start_upstream(Path(base)) as upstream:
            text = "\n\n".join(_tables(found, directory, upstream, quick))
    print(text)
    if not quick:
        RESULTS.write_text(_document(text), encoding="utf-8")
    return 0


def _has(tool: str) -> bool:
    return shutil.which(tool) is not None or Path("/usr/sbin", tool).exists()


def _tables(found: Sequence[str], directory: Directory, upstream: int, quick: bool) -> list[str]:
    starts, changes, loads = (
        (QUICK_STARTS, QUICK_CHANGES, QUICK_LOADS) if quick else (STARTS, CHANGES, LOADS)
    )
    return [
        _served(found, directory, upstream, 30 if quick else 300),
        _starts(found, directory, upstream, starts),
        _changes(found, directory, upstream, changes, 10 if quick else 50),
        _loads(directory, upstream, loads, 1.0 if quick else 5.0),
    ]


def _served(found: Sequence[str], directory: Directory, upstream: int, count: int) -> str:
    rows = []
    for store in found:
        for workers in WORKERS:
            got = measures.put_to_served(store, workers, count, directory(), upstream)
            rows.append([store, f"{workers}", *_ms(got.p50, got.p99, got.worst)])
            _say(rows[-1])
    title = f"From an acknowledged PUT to its being served by all workers, {count} PUTs, ms"
    return _table(title, ["store", "workers", "p50", "p99", "longest"], rows)


def _starts(
    found: Sequence[str], directory: Directory, upstream: int, counts: Sequence[int]
) -> str:
    rows = []
    for store in found:
        for count in counts:
            cold, _ = measures.filled(store, count, directory(), upstream, None)
            rows.append([store, f"{count:,}", f"{cold.seconds:.2f}", f"{cold.rss_mib:.0f}"])
            _say(rows[-1])
    title = "Start of a gateway, until the last route is served"
    return _table(title, ["store", "routes", "seconds", "RSS of the worker, MiB"], rows)


def _changes(
    found: Sequence[str], directory: Directory, upstream: int, counts: Sequence[int], turns: int
) -> str:
    rows = []
    for store in found:
        for count in counts:

            def change(gateway: Gateway) -> measures.Change:
                return measures.change_one(gateway, turns)

            _, got = measures.filled(store, count, directory(), upstream, change)
            pauses = _ms(got.cpu_ms, got.pause_p50, got.pause_worst, got.idle_p50, got.idle_worst)
            rows.append([store, f"{count:,}", *pauses])
            _say(rows[-1])
    title = f"One route changed, {turns} times; the longest answer within 150 ms of each, ms"
    head = ["store", "routes", "CPU of a change", "longest answer, p50", "of all"]
    return _table(title, [*head, "without a change, p50", "of all"], rows)


def _loads(directory: Directory, upstream: int, counts: Sequence[int], seconds: float) -> str:
    rows = []
    for count in counts:
        place = directory()

        def load(gateway: Gateway, place: Path = place, count: int = count) -> tuple[Sample, float]:
            one = measures.requests(gateway, seconds)
            return one, measures.spread(gateway, count, seconds, place)

        _, (one, rate) = measures.filled("embedded", count, place, upstream, load)
        cpu = [f"{one.user_us:.1f}", f"{one.system_us:.1f}"]
        rows.append([f"{count:,}", f"{one.rate:,.0f}", *cpu, f"{one.p99_ms:.2f}", f"{rate:,.0f}"])
        _say(rows[-1])
    head = ["routes", "requests/s", "user µs/request", "system µs/request", "p99 ms"]
    title = "Requests a second: of one route, and of all in turn"
    return _table(title, [*head, "requests/s of all"], rows)


def _ms(*values: float) -> list[str]:
    return [f"{value:.2f}" for value in values]


def _say(row: Sequence[str]) -> None:
    print("  " + ", ".join(row), file=sys.stderr, flush=True)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"{title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _document(text: str) -> str:
    return (
        "# Configuration, measured\n\n"
        "Written by `python benchmarks/config.py`, which says what is measured and how; two cores,"
        " which the load\nand the store share with the gateway.\n\n"
        f"{text}\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
