"""Requests at the same time: an upstream that lets them wait, and limits of them."""

from __future__ import annotations

import contextlib
from typing import Any

import gevent
from gevent import event, server
from support.gateway import PATIENCE, Gateway
from support.redis_server import Redis

from pygw.testing.messages import read_request


class Slow:
    """An upstream that answers when it is told to; `waiting` requests wait for that."""

    def __init__(self) -> None:
        self.go_on = event.Event()
        self.waiting = 0
        self._server = server.StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.node = f"127.0.0.1:{self._server.server_port}"

    def _serve(self, connection: Any, _address: Any) -> None:
        with contextlib.closing(connection), connection.makefile("rb") as stream:
            if not read_request(stream):
                return
            self.waiting += 1
            self.go_on.wait()
            self.waiting -= 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def stop(self) -> None:
        self.go_on.set()
        self._server.stop(timeout=0)


class Crowd:
    """Requests that are at the upstream at the same time."""

    def __init__(self, gateway: Gateway, slow: Slow) -> None:
        self.gateway, self.slow = gateway, slow
        self.jobs: list[gevent.Greenlet] = []

    def enter(self, path: str, *sent: tuple[str, str]) -> None:
        """Send one more; returns when the upstream has got it."""
        count = self.slow.waiting
        self.jobs.append(gevent.spawn(self.gateway.ask, path, list(sent)))
        self.gateway.until(lambda: self.slow.waiting > count)

    def leave(self) -> list[int]:
        """Have the upstream answer all; returns their statuses."""
        self.slow.go_on.set()
        jobs, self.jobs = self.jobs, []
        found = [job.get(timeout=PATIENCE).status for job in jobs]
        self.slow.go_on.clear()
        return found


def in_redis(server: Redis) -> dict[str, Any]:
    return {"policy": "redis", "redis_host": "127.0.0.1", "redis_port": server.port}


def describe(**conf: Any) -> dict[str, Any]:
    """A configuration: one request at a time unless it says more."""
    if "rules" in conf:
        return {"default_conn_delay": 0.1, **conf}
    return {"conn": 1, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr", **conf}


def limit(gateway: Gateway, slow: Slow | None = None, **conf: Any) -> str:
    upstream = {"upstream": {"nodes": {slow.node: 1}}} if slow else {}
    return gateway.route({"limit-conn": describe(**conf)}, **upstream)
