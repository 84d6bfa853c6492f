"""The plugin syslog; what all loggers share stands in test_tcp_logger; time is virtual."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent import server, ssl
from support.certificates import Authority
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock

LINE = re.compile(r"<46>1 (\S+) (\S+) apisix (\d+) - - (\{.*\})")


class Collector:
    """A TCP server that keeps what it got so far."""

    def __init__(self, **tls: Any) -> None:
        self.text = ""
        self.server = server.StreamServer(("127.0.0.1", 0), self._serve, **tls)
        self.server.start()
        self.port: int = self.server.server_port

    def _serve(self, connection: Any, _address: Any) -> None:
        while piece := connection.recv(65536):
            self.text += piece.decode()

    def lines(self, gateway: Gateway, count: int = 1) -> list[re.Match[str]]:
        """That many lines; there must not be more."""
        gateway.until(lambda: self.text.count("\n") >= count)
        found = [LINE.fullmatch(line) for line in self.text.splitlines()]
        assert len(found) == count
        assert all(found), self.text
        return [each for each in found if each]


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["syslog"])


@pytest.fixture
def collector(gateway: Gateway) -> Iterator[Collector]:
    running = Collector()
    yield running
    running.server.stop(timeout=0)


def route(gateway: Gateway, port: int, **conf: Any) -> str:
    """The path of a route whose lines are sent at once."""
    conf = {"host": "127.0.0.1", "port": port, "batch_max_size": 1, "flush_limit": 1, **conf}
    return gateway.route({"syslog": conf})


def test_a_line(gateway: Gateway, collector: Collector) -> None:
    path = route(gateway, collector.port)
    gateway.ask(path)
    (line,) = collector.lines(gateway)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line[1])
    assert line[2] == "test.com"
    assert json.loads(line[4])["route_id"] == path[1:]


def test_a_format(gateway: Gateway, collector: Collector) -> None:
    path = route(gateway, collector.port, log_format={"m": "$method"})
    gateway.ask(path)
    assert json.loads(collector.lines(gateway)[0][4]) == {"m": "GET", "route_id": path[1:]}


def test_the_format_of_the_metadata(gateway: Gateway, collector: Collector) -> None:
    gateway.put("plugin_metadata/syslog", {"log_format": {"at": "$host"}})
    try:
        gateway.ask(route(gateway, collector.port))
        assert json.loads(collector.lines(gateway)[0][4])["at"] == "test.com"
    finally:
        gateway.delete("plugin_metadata/syslog")


def test_a_batch(gateway: Gateway, collector: Collector) -> None:
    path = route(gateway, collector.port, batch_max_size=1000, inactive_timeout=2)
    for _ in range(3):
        gateway.ask(path)
    assert collector.text == ""
    advance(gateway, 2.1)
    collector.lines(gateway, 3)


def test_lines_wait_until_there_are_enough_bytes(gateway: Gateway, collector: Collector) -> None:
    conf = {"flush_limit": 300, "log_format": {"pad": "x" * 100}}
    path = route(gateway, collector.port, **conf)
    gateway.ask(path)
    assert collector.text == ""
    gateway.ask(path)
    collector.lines(gateway, 2)


def test_bodies(gateway: Gateway, collector: Collector) -> None:
    path = route(gateway, collector.port, include_req_body=True, include_resp_body=True)
    gateway.ask(path, method="POST", body=b"sent")
    entry = json.loads(collector.lines(gateway)[0][4])
    assert (entry["request"]["body"], entry["response"]["body"]) == ("sent", "hello")


def test_udp(gateway: Gateway) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        path = route(gateway, listener.getsockname()[1], sock_type="udp")
        gateway.ask(path)
        got: list[bytes] = []

        def came() -> bool:
            try:
                got.append(listener.recv(65536))
            except BlockingIOError:
                return False
            return True

        gateway.until(came)
        assert LINE.fullmatch(got[0].decode().rstrip("\n"))


def test_tls(gateway: Gateway, tmp_path: Path, plugin_source: Path | None) -> None:
    if plugin_source:
        pytest.skip("the original tells its library of TLS by a name that this does not know")
    context = Authority(tmp_path).issue("localhost").server_context(ssl.SSLContext)
    secure = Collector(ssl_context=context)
    try:
        gateway.ask(route(gateway, secure.port, tls=True))
        secure.lines(gateway)
    finally:
        secure.server.stop(timeout=0)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"host": None}, 'property "host" is required'),
        ({"port": None}, 'property "port" is required'),
        ({"flush_limit": 0}, 'property "flush_limit" validation failed'),
        ({"drop_limit": "x"}, 'property "drop_limit" validation failed'),
        ({"timeout": 0}, 'property "timeout" validation failed'),
        ({"sock_type": "unix"}, 'property "sock_type" validation failed'),
        ({"pool_size": 4}, 'property "pool_size" validation failed'),
        ({"tls": 1}, 'property "tls" validation failed'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    whole = {"host": "h", "port": 1, **conf}
    whole = {name: value for name, value in whole.items() if value is not None}
    assert message in gateway.complaint({"syslog": whole})
