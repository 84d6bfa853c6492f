"""A worker in this process that runs tests/support/cycle_app.lua."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.queue import Queue

from pygw.config.bridge_calls import store_calls
from pygw.config.settings import load
from pygw.config.snapshot import Snapshot
from pygw.config.standalone import StandaloneFile
from pygw.config.store import Store
from pygw.hub.clock import Clock, VirtualClock
from pygw.vm.worker import Worker

APP = Path(__file__).with_name("cycle_app.lua")
DIRECTORIES = 13  # that the application watches
WAIT = 20.0


Entries = tuple[dict[str, Callable[..., Any]], dict[str, Callable[..., Any]]]


def following_store(
    directory: Path,
    store: Store,
    prefix: str,
    clock: Clock | None = None,
    snapshot: Snapshot | None = None,
    apisix: str = "{}",
) -> "CycleWorker":
    """A worker whose configuration is in a store; `apisix` is that part of config.yaml."""
    deployment = (
        "role_traditional: {config_provider: embedded},"
        f" etcd: {{host: ['http://127.0.0.1:1'], prefix: {json.dumps(prefix)}}}"
    )
    return CycleWorker(directory, deployment, store_calls(store, snapshot), clock, apisix)


def following_file(directory: Path, file: StandaloneFile) -> "CycleWorker":
    """A worker whose configuration is in apisix.yaml."""
    return CycleWorker(directory, "role_traditional: {config_provider: yaml}", file.calls())


class CycleWorker:
    """The worker, and what the test may ask and hear.

    `changes`: (directory, id, value or None, revision) of each applied change. `attempts`: (name,
    key, monotonic time) of each crossing to the store, `in_flight` how many of these have not
    returned. `gate`: while it is clear, no watch is opened.
    """

    def __init__(
        self,
        directory: Path,
        deployment: str,
        entries: Entries,
        clock: Clock | None = None,
        apisix: str = "{}",
    ) -> None:
        self.clock = clock
        self.changes: Any = Queue()
        self.attempts: Any = Queue()
        self.in_flight = 0
        self.gate = Event()
        self.gate.set()
        self.log_path = directory / "error.log"
        (directory / "config.yaml").write_text(
            f"apisix: {apisix}\ndeployment: {{role: traditional, {deployment}}}\n"
        )
        self._log_fd = os.open(self.log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        calls, awaits = entries
        for name in {"store_readdir", "store_preload", "store_watch_open"} & awaits.keys():
            awaits[name] = self._noted(name, awaits[name])
        self.worker = Worker(
            load(directory / "config.yaml"),
            0,
            [self._listener.fileno()],
            str(APP),
            clock=clock,
            error_fd=self._log_fd,
            calls={**calls, "config_changed": self._on_change},
            awaits=awaits,
        )

    def start(self) -> "CycleWorker":
        self.worker.start()
        return self

    def stop(self) -> None:
        self.worker.stop(False)
        if isinstance(self.clock, VirtualClock):  # sleepers look up each second whether it is over
            self.until(lambda: self("ngx.worker.exiting()"))
            self.clock.advance(1)
        self.worker.run()
        self._listener.close()
        os.close(self._log_fd)

    def __call__(self, expression: str) -> Any:
        """The value of a Lua expression that does not yield, such as "probe.same('1')"."""
        return self.worker.runtime.eval(expression)

    def state(self) -> dict[str, Any]:
        """See probe.state()."""
        found: dict[str, Any] = json.loads(self("probe.state()"))
        found["items"] = found["items"] or {}
        return found

    def change(self) -> tuple[str, Any]:
        """Wait for the next applied change of /things: its id, and n or None."""
        while True:
            directory, name, value, _ = self.changes.get(timeout=WAIT)
            if directory == "/things":
                return name, value and value["n"]

    def until_watching(self) -> None:
        """Wait until every directory has begun to open its first watch."""
        self.until(lambda: len(self.attempts) >= 1 + DIRECTORIES)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until condition() holds."""
        with gevent.Timeout(WAIT):
            while not condition():
                gevent.sleep(0.002)

    def advance_until(self, clock: VirtualClock, condition: Callable[[], bool]) -> None:
        """Let virtual time pass while nothing is under way at the store, until condition()."""
        with gevent.Timeout(WAIT):
            while not condition():
                gevent.sleep(0.004)
                if not self.in_flight:
                    clock.advance(0.25)

    def log(self) -> str:
        """The error log so far."""
        return self.log_path.read_text("latin-1")

    def _noted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            self.attempts.put((name, arguments[0], self.worker.hub.clock.monotonic))
            if name == "store_watch_open":
                self.gate.wait()
            self.in_flight += 1
            try:
                return function(*arguments)
            finally:
                self.in_flight -= 1

        return noted

    def _on_change(self, directory: str, name: str, value: str | None, revision: float) -> bool:
        item = None if value is None else json.loads(value.encode("latin-1"))
        self.changes.put((directory, name, item, int(revision)))
        return True
