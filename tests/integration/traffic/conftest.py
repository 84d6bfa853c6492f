"""A gateway in virtual time, and upstream nodes that can fail, hang and come back."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import event, server
from support.gateway import Gateway, excuse, running_gateway

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Seen, read_request
from pygw.testing.upstream import Upstream


class Node:
    """A server that answers with its name.

    status: what it answers; hangs: it does not; probes: the requests for /status that it got, and
    requests: the others. context: to speak TLS.
    """

    def __init__(self, context: Any = None) -> None:
        self.status, self.hangs = 200, False
        self.probes: list[Seen] = []
        self.requests: list[Seen] = []
        self.connections = 0
        self._over = event.Event()
        self._tls = {"ssl_context": context} if context else {}
        self._server = self._listen(0)
        self.port: int = self._server.server_port
        self.address = f"127.0.0.1:{self.port}"

    def _listen(self, port: int) -> server.StreamServer:
        listener = server.StreamServer(("127.0.0.1", port), self._serve, **self._tls)
        listener.start()
        return listener

    def _serve(self, connection: Any, _address: Any) -> None:
        self.connections += 1
        with (
            contextlib.suppress(OSError),
            contextlib.closing(connection),
            connection.makefile("rb") as stream,
        ):
            self._answer(connection, stream)

    def _answer(self, connection: Any, stream: Any) -> None:
        seen = read_request(stream)
        if not seen:
            return
        (self.probes if seen.target == "/status" else self.requests).append(seen)
        if self.hangs:
            self._over.wait()
            return
        body = self.address.encode()
        head = f"HTTP/1.1 {self.status} Reason\r\nContent-Length: {len(body)}"
        connection.sendall(head.encode() + b"\r\nConnection: close\r\n\r\n" + body)

    def go_away(self) -> None:
        """Listen no more."""
        self._server.stop(timeout=0)

    def come_back(self) -> None:
        self._server = self._listen(self.port)

    def stop(self) -> None:
        self._over.set()
        self.go_away()


class Site:
    """A gateway and what tests ask of it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        assert isinstance(gateway.clock, VirtualClock)
        self.clock = gateway.clock

    def route(self, nodes: Any, **upstream: Any) -> str:
        """A route to these nodes (of Node: with weight 1); returns its path."""
        if isinstance(nodes, list) and nodes and isinstance(nodes[0], Node):
            nodes = {node.address: 1 for node in nodes}
        whole = {"type": "roundrobin", "nodes": nodes, **upstream}
        return self.gateway.route({}, upstream=whole)

    def shares(self, path: str, count: int = 4, **headers: str) -> Counter[str]:
        """Ask so often; who has answered how often (a status that is not 200: as such)."""
        answers = [self.gateway.ask(path, headers) for _ in range(count)]
        return Counter(a.text if a.status == 200 else str(a.status) for a in answers)

    def pass_until(self, true: Callable[[], bool], step: float = 0.5) -> None:
        """Let time pass until it is true."""

        def is_so() -> bool:
            if true():
                return True
            self.clock.advance(step)
            return False

        self.gateway.until(is_so)

    def settle(self) -> None:
        """Let what is under way on sockets go on."""
        for _ in range(20):
            gevent.sleep(0)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """Of the gateway; a module may have its own."""
    return {"plugins": ["key-auth", "serverless-pre-function"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Site]:
    upstream = Upstream()
    base = tmp_path_factory.mktemp("gateway")
    with running_gateway(base, upstream, config, VirtualClock()) as gateway:
        yield Site(gateway)
    upstream.stop()


@pytest.fixture
def nodes() -> Iterator[Callable[..., list[Node]]]:
    """Start nodes: nodes(count, context=None)."""
    started: list[Node] = []

    def start(count: int, context: Any = None) -> list[Node]:
        new = [Node(context) for _ in range(count)]
        started.extend(new)
        return new

    yield start
    for node in started:
        node.stop()


@pytest.fixture
def pair(nodes: Callable[..., list[Node]]) -> list[Node]:
    return nodes(2)


@pytest.fixture(autouse=True)
def _gateways_of_the_module_go_on() -> Iterator[None]:
    yield
    excuse()
