"""Owns the command `python -m tests.soak`: many seeded runs, and the seed of one that fails."""

import argparse
import collections
import random
import sys
import tempfile
import time
from pathlib import Path

from gevent import subprocess

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support.etcd_server import running  # noqa: E402

from soak.run import run  # noqa: E402


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, help="of the first run; those after it count up")
    parser.add_argument("--jobs", type=int, default=2, help="processes that share the runs")
    parser.add_argument("--only", help="no fault but this one")
    options = parser.parse_args()
    first = random.randrange(1 << 31) if options.seed is None else options.seed
    print(f"seed {first}", flush=True)
    if options.jobs > 1:
        return _shared(first, options)
    return _alone(first, options)


def _shared(first: int, options: argparse.Namespace) -> int:
    share = -(-options.runs // options.jobs)
    command = [sys.executable, "-m", "tests.soak", "--jobs=1"]
    if options.only:
        command.append(f"--only={options.only}")
    jobs = []
    for start in range(0, options.runs, share):
        runs = min(share, options.runs - start)
        arguments = [*command, f"--seed={first + start}", f"--runs={runs}"]
        jobs.append(subprocess.Popen(arguments, cwd=HERE.parent.parent))
    return max(job.wait() for job in jobs)


def _alone(first: int, options: argparse.Namespace) -> int:
    start, faults = time.monotonic(), collections.Counter[str]()
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "etcd") as etcd:
        for seed in range(first, first + options.runs):
            try:
                faults.update(run(seed, etcd, options.only))
            except BaseException as error:
                print(f"run failed, again with: --jobs=1 --runs=1 --seed={seed}: {error!r}")
                return 1
    seconds = time.monotonic() - start
    print(f"{options.runs} runs in {seconds:.0f} s: {dict(faults)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
