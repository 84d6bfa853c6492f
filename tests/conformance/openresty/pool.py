"""Owns the running of many blocks at once: threads, each with a place, a port and a zygote.

Most blocks wait rather than work, so there are more threads than processors.
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
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from conformance.openresty import network, services, spec
from conformance.openresty.run import FAILED, BlockRun, Place, Verdict
from conformance.openresty.zygote import Zygote

_PORT = 1984  # of Test::Nginx, in a network of one's own
_PORTS = range(20000, 30000)  # below those that the kernel gives to clients


@dataclass(frozen=True)
class Source:
    """A block by where it stands: checkout, file (relative to it) and index in the file."""

    checkout: Path
    path: Path
    index: int


def environment(servroot: Path, port: int) -> dict[str, str]:
    """The variables that a specification's preamble may count on."""
    return {
        "TEST_NGINX_SERVROOT": str(servroot),
        "TEST_NGINX_SERVER_ROOT": str(servroot),
        "TEST_NGINX_HTML_DIR": f"{servroot}/html",
        "TEST_NGINX_SERVER_PORT": str(port),
        "TEST_NGINX_OPENRESTY_ORG_IP": "127.0.0.1",
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
    """Runs blocks in the background, in the order in which they are asked for."""

    def __init__(self, jobs: int, keep: Path | None) -> None:
        self._keep = keep
        self._root = Path(tempfile.mkdtemp(prefix="pygw-conformance-"))
        self._root.chmod(0o755)
        self._queue: queue.SimpleQueue[tuple[Source, Future[Verdict]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(jobs)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, source: Source) -> Future[Verdict]:
        """Run a block when its turn has come."""
        future: Future[Verdict] = Future()
        self._queue.put((source, future))
        return future

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

    def _work(self, number: int) -> None:
        alone = network.isolate()
        with services.running(alone) as env:
            self._run_blocks(number, _PORT if alone else _server_port(), env)

    def _run_blocks(self, number: int, port: int, env: dict[str, str]) -> None:
        specs: dict[Path, spec.Spec] = {}
        zygote = Zygote()
        while job := self._queue.get():
            source, future = job
            try:
                whole = source.checkout / source.path
                place = self._place(source.checkout, number, port, env)
                if whole not in specs:
                    specs[whole] = spec.load(place.directory, source.path, place.env)
                block = specs[whole].blocks[source.index]
                verdict = BlockRun(specs[whole], block, place, zygote).run()
                self._keep_directory(source, block, place, verdict)
            except Exception as error:  # whoever waits for it must hear of it
                verdict = Verdict(FAILED, [f"the collector failed: {error!r}"])
            future.set_result(verdict)
        zygote.close()

    def _place(self, checkout: Path, number: int, port: int, env: dict[str, str]) -> Place:
        """A directory that looks like the checkout, but whose t/servroot is one's own."""
        around = self._root / str(number) / f"of-{checkout.name}"
        directory = around / checkout.name
        servroot = directory / "t" / "servroot"
        if not around.exists():
            (directory / "t").mkdir(parents=True)
            links = {around / each.name: each for each in checkout.parent.iterdir()}
            for each in [*checkout.iterdir(), *(checkout / "t").iterdir()]:
                links[directory / each.relative_to(checkout)] = each
            for link, target in links.items():
                if link not in (directory, directory / "t", servroot):
                    link.symlink_to(target)
        return Place(directory, servroot, port, {**env, **environment(servroot, port)})

    def _keep_directory(
        self, source: Source, block: spec.Block, place: Place, verdict: Verdict
    ) -> None:
        if not self._keep or not place.servroot.exists():
            return
        name = re.sub(r"[^\w.-]+", "-", block.name)[:60]
        target = self._keep / source.path.stem / name
        shutil.rmtree(target, ignore_errors=True)
        ignore = shutil.ignore_patterns("*.sock")
        shutil.copytree(place.servroot, target, ignore=ignore, ignore_dangling_symlinks=True)
        verdict.directory = str(target)
