"""Owns the running of many blocks at once: threads, each with a place, a port and a zygote.

Most blocks wait rather than work, so there are more threads than processors. What fails then runs
once more when all others are through, alone, since many blocks measure time.
"""

from __future__ import annotations

import contextlib
import queue
import random
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from pygw.testing.tfiles import apisix_conf, network, services, spec
from pygw.testing.tfiles.run import FAILED, BlockRun, Place, Verdict
from pygw.testing.tfiles.zygote import Zygote

_PORT = 1984  # of Test::Nginx, in a network of one's own
_PORTS = range(20000, 30000)  # below those that the kernel gives to clients
_AGAIN = 240.0  # seconds that second chances may take in all


@dataclass(frozen=True)
class Source:
    """A block by where it stands: checkout, file (relative to it) and index in the file.

    ordered: the file's blocks run one after the other, since each leaves something for the next.
    """

    checkout: Path
    path: Path
    index: int
    ordered: bool = False


Job = tuple[Source, "Future[Verdict]"]

_usual_ports = threading.Lock()  # whoever has it may use those that APISIX's files count on


def environment(servroot: Path, port: int) -> dict[str, str]:
    """The variables that a specification's preamble may count on."""
    return {
        "TEST_NGINX_SERVROOT": str(servroot),
        "TEST_NGINX_SERVER_ROOT": str(servroot),
        "TEST_NGINX_HTML_DIR": f"{servroot}/html",
        "TEST_NGINX_SERVER_PORT": str(port),
        "TEST_NGINX_SERVER_IP": network.ADDRESS,
        "TEST_NGINX_OPENRESTY_ORG_IP": services.OUTSIDE,
        "TEST_NGINX_SERVER_SSL_PORT": str(port + 1),
    }


def _server_port() -> int:
    """A port that is free, as is the next."""
    while True:
        port = random.choice(_PORTS)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for number in (port, port + 1):
                stack.enter_context(socket.create_server(("0.0.0.0", number)))
            return port


class Pool:
    """Runs blocks in the background, in the order in which they are given."""

    def __init__(self, jobs: int, keep: Path | None) -> None:
        self._keep = keep
        self._count = jobs
        self._root = Path(tempfile.mkdtemp(prefix="pygw-t-"))
        self._root.chmod(0o755)
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left = 0
        self._failed: list[tuple[Job, Verdict]] = []
        self._threads: list[threading.Thread] = []

    def submit(self, sources: Iterable[Source]) -> list[Future[Verdict]]:
        """Run blocks, each when its turn has come; to be called once."""
        jobs: list[Job] = [(source, Future()) for source in sources]
        self._left = len(jobs)
        files: dict[Path, list[Job]] = {}
        for job in jobs:
            source = job[0]
            if not source.ordered:
                self._queue.put([job])
            elif (path := source.checkout / source.path) in files:
                files[path].append(job)
            else:
                files[path] = [job]
                self._queue.put(files[path])
        for in_order in files.values():  # pytest may have been told to shuffle
            in_order.sort(key=lambda job: job[0].index)
        for number in range(self._count):
            thread = threading.Thread(target=_Runner(self, number).work, daemon=True)
            self._threads.append(thread)
            thread.start()
        return [future for _, future in jobs]

    def close(self) -> None:
        """Stop everything; blocks that have not begun do not run."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._root, ignore_errors=True)

    def next(self) -> list[Job] | None:
        """What to run next, one after the other; None: there is nothing."""
        return self._queue.get()

    def settle(self, job: Job, verdict: Verdict) -> list[tuple[Job, Verdict]]:
        """Note a verdict. Gives what has failed so far when it was the last, else nothing."""
        with self._lock:
            self._left -= 1
            if verdict.outcome == FAILED and self._count > 1 and not job[0].ordered:
                self._failed.append((job, verdict))
            else:
                job[1].set_result(verdict)
            return self._failed if self._left == 0 else []

    def place(self, checkout: Path, number: int, port: int, env: dict[str, str]) -> Place:
        """A directory that looks like the checkout, but whose servroot, in t/ if it has one, is
        one's own."""
        around = self._root / str(number) / f"of-{checkout.name}"
        directory = around / checkout.name
        tests = directory / "t" if (checkout / "t").is_dir() else directory
        servroot = tests / "servroot"
        if not around.exists():
            tests.mkdir(parents=True)
            links = {around / each.name: each for each in checkout.parent.iterdir()}
            for each in [*checkout.iterdir(), *(checkout / tests.relative_to(directory)).iterdir()]:
                links[directory / each.relative_to(checkout)] = each
            for link, target in links.items():
                if link not in (directory, tests, servroot):
                    link.symlink_to(target)
        return Place(directory, servroot, port, {**env, **environment(servroot, port)})

    def keep(self, source: Source, block: spec.Block, place: Place, verdict: Verdict) -> None:
        """Copy the directory that a block has used, if that was asked for."""
        if not self._keep or not place.servroot.exists():
            return
        name = re.sub(r"[^\w.-]+", "-", block.name)[:60]
        file = Path(source.checkout.name, source.path.with_suffix(""))
        target = self._keep / file / f"{source.index + 1}-{name}"
        shutil.rmtree(target, ignore_errors=True)
        ignore = shutil.ignore_patterns("*.sock")
        shutil.copytree(place.servroot, target, ignore=ignore, ignore_dangling_symlinks=True)
        verdict.directory = str(target)


class _Runner:
    """One thread's work."""

    def __init__(self, pool: Pool, number: int) -> None:
        self._pool, self._number = pool, number
        self._port = _PORT
        self._env: dict[str, str] = {}
        self._specs: dict[Path, spec.Spec] = {}

    def work(self) -> None:
        alone = network.isolate()
        self._port = _PORT if alone else _server_port()
        with services.running(alone) as env, contextlib.closing(Zygote()) as zygote:
            self._env = env
            while jobs := self._pool.next():
                if jobs[0][0].ordered:
                    with contextlib.nullcontext() if alone else _usual_ports:
                        self._run_file(jobs, zygote)
                else:
                    self._run_all(jobs, zygote)

    def _run_file(self, jobs: list[Job], zygote: Zygote) -> None:
        """Run blocks that count on the usual ports, and that begin without a store."""
        own, self._port = self._port, _PORT
        place = self._pool.place(jobs[0][0].checkout, self._number, _PORT, self._env)
        shutil.rmtree(apisix_conf.state(place.servroot), ignore_errors=True)
        try:
            self._run_all(jobs, zygote)
        finally:
            self._port = own

    def _run_all(self, jobs: list[Job], zygote: Zygote) -> None:
        for job in jobs:
            failed = self._pool.settle(job, self._run(job[0], zygote))
            if failed:
                self._once_more(failed, zygote)

    def _once_more(self, failed: list[tuple[Job, Verdict]], zygote: Zygote) -> None:
        deadline = time.monotonic() + _AGAIN
        for (source, future), verdict in failed:
            if time.monotonic() < deadline:
                verdict = self._run(source, zygote)
            future.set_result(verdict)

    def _run(self, source: Source, zygote: Zygote) -> Verdict:
        try:
            whole = source.checkout / source.path
            place = self._pool.place(source.checkout, self._number, self._port, self._env)
            if whole not in self._specs:
                self._specs[whole] = spec.load(place.directory, source.path, place.env)
            block = self._specs[whole].blocks[source.index]
            verdict = BlockRun(self._specs[whole], block, place, zygote).run()
            self._pool.keep(source, block, place, verdict)
        except Exception as error:  # whoever waits for it must hear of it
            return Verdict(FAILED, [f"the collector failed: {error!r}"])
        return verdict
