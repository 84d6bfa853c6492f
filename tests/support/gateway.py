"""A whole gateway in this process on the embedded store."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket as plain_socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import yaml
from gevent import socket
from support import applied, leftovers

from pygw.config.choose import open_store
from pygw.config.settings import load
from pygw.config.store import Store
from pygw.gateway import Gateway as Worker
from pygw.hub.clock import Clock
from pygw.testing.messages import Answer, Fields, answer, pairs, request
from pygw.testing.upstream import Upstream

PATIENCE = 20.0  # seconds before a test gives up on an event


def excuse() -> None:
    """What is new since the test began belongs to a gateway that outlives the test."""
    watch = leftovers.WATCHES.get("function")
    if watch:
        watch.allowed.update(watch.new())


@dataclass
class Gateway:
    """A gateway that serves, its store and its error log."""

    port: int
    store: Store
    upstream: Upstream
    clock: Clock
    log_path: Path

    _numbers = itertools.count(1)

    def ask(
        self,
        target: str,
        headers: Fields | None = None,
        method: str = "GET",
        body: bytes = b"",
        host: str = "test.com",
    ) -> Answer:
        """Send one request on a connection of its own and read the response."""
        fields = [("Host", host), ("Connection", "close"), *pairs(headers)]
        with (
            gevent.Timeout(PATIENCE),
            contextlib.closing(socket.create_connection(("127.0.0.1", self.port))) as connection,
        ):
            connection.sendall(request(method, target, fields, body or None))
            with connection.makefile("rb") as stream:
                data = stream.read()
        assert data, f"no answer; the log:\n{self.log}"
        return answer(data, method)

    def put(self, key: str, value: Any) -> None:
        """Write one resource, such as "routes/1"; returns when the gateway has applied it."""
        before = len(self.log)
        revision = self.store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())
        mark = f"[/apisix/{key}]"
        self.until(lambda: applied.revisions.get(key, 0) >= revision or mark in self.log[before:])
        assert mark not in self.log[before:], self.log[before:]

    def delete(self, key: str) -> None:
        """Remove one resource; returns when the gateway has applied that."""
        revision, _ = self.store.delete(f"/apisix/{key}".encode())
        self.until(lambda: applied.revisions.get(key, 0) >= revision)

    def refused(self, key: str, value: Any) -> str:
        """Write one resource that the gateway does not take; returns what it logs about it."""
        before = len(self.log)
        self.store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())
        mark = f"[/apisix/{key}]"
        self.until(lambda: mark in self.log[before:])
        return self.log[before:]

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until `true`, letting the gateway run."""
        with gevent.Timeout(PATIENCE, AssertionError(f"in vain; the log:\n{self.log}")):
            while not true():
                applied.changed.wait(0.01)

    def route(self, plugins: dict[str, Any], **route: Any) -> str:
        """Make a new route; returns its path, which it matches with all that is below."""
        number = next(self._numbers)
        key, path = f"routes/r{number}", f"/r{number}"
        self.put(key, self.describe(path, plugins, **route))
        return path

    def describe(self, path: str, plugins: dict[str, Any], **route: Any) -> dict[str, Any]:
        """The route at `path` with these plugins."""
        upstream = {"nodes": {self.upstream.node: 1}, "type": "roundrobin"}
        return {"uris": [path, f"{path}/*"], "plugins": plugins, "upstream": upstream, **route}

    def complaint(self, plugins: dict[str, Any]) -> str:
        """What the gateway logs about a route with these plugins, which it must not take."""
        number = next(self._numbers)
        return self.refused(f"routes/r{number}", self.describe(f"/r{number}", plugins))

    @property
    def log(self) -> str:
        """The error log so far."""
        return self.log_path.read_text("latin-1")


@contextlib.contextmanager
def running_gateway(
    base: Path, upstream: Upstream, config: dict[str, Any], clock: Clock | None = None
) -> Iterator[Gateway]:
    """Run a gateway with this config.yaml in the directory `base`."""
    (base / "conf").mkdir()
    extensions = {**config.get("pygw", {}), "python_plugins": ["support.applied"]}
    text = yaml.safe_dump({**config, "pygw": extensions})
    (base / "conf" / "config.yaml").write_text(text)
    settings = load(base / "conf" / "config.yaml")
    with contextlib.ExitStack() as stack:
        store = open_store(settings)
        assert store
        stack.callback(store.close)
        log_fd = os.open(base / "error.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, log_fd)
        listener = plain_socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        stack.callback(listener.close)
        applied.revisions.clear()
        clock = clock or Clock()
        worker = Worker(settings, 0, [listener.fileno()], clock=clock, error_fd=log_fd)
        worker.start()
        stack.callback(worker.run)
        stack.callback(worker.stop, False)
        port = listener.getsockname()[1]
        yield Gateway(port, store, upstream, clock, base / "error.log")
