"""The plugin udp-logger; what all loggers share stands in test_tcp_logger; time is virtual."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["udp-logger"])


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.setblocking(False)
        yield found


def route(gateway: Gateway, port: int, **conf: Any) -> str:
    return gateway.route({"udp-logger": {"host": "127.0.0.1", "port": port, **conf}})


def received(gateway: Gateway, server: socket.socket) -> Any:
    """The next datagram, read as JSON."""
    found: list[bytes] = []

    def came() -> bool:
        try:
            found.append(server.recv(65536))
        except BlockingIOError:
            return False
        return True

    gateway.until(came)
    return json.loads(found[0])


def test_an_entry_at_once(gateway: Gateway, server: socket.socket) -> None:
    port = server.getsockname()[1]
    path = route(gateway, port, batch_max_size=1)
    gateway.ask(path)
    entry = received(gateway, server)
    assert (entry["route_id"], entry["response"]["status"]) == (path[1:], 200)


def test_a_batch_is_one_datagram(gateway: Gateway, server: socket.socket) -> None:
    port = server.getsockname()[1]
    path = route(gateway, port, log_format={"uri": "$uri"}, inactive_timeout=2)
    for n in range(2):
        gateway.ask(f"{path}/{n}")
    advance(gateway, 2.1)
    assert [entry["uri"] for entry in received(gateway, server)] == [f"{path}/0", f"{path}/1"]


def test_the_format_of_the_metadata(gateway: Gateway, server: socket.socket) -> None:
    gateway.put("plugin_metadata/udp-logger", {"log_format": {"at": "$host"}})
    try:
        path = route(gateway, server.getsockname()[1], batch_max_size=1)
        gateway.ask(path)
        assert received(gateway, server) == {"at": "test.com", "route_id": path[1:]}
    finally:
        gateway.delete("plugin_metadata/udp-logger")


def test_bodies(gateway: Gateway, server: socket.socket) -> None:
    conf = {"batch_max_size": 1, "include_req_body": True, "include_resp_body": True}
    path = route(gateway, server.getsockname()[1], **conf)
    gateway.ask(path, method="POST", body=b"sent")
    entry = received(gateway, server)
    assert (entry["request"]["body"], entry["response"]["body"]) == ("sent", "hello")


def test_a_server_that_cannot_be_found(gateway: Gateway) -> None:
    before = len(gateway.log)
    conf = {"host": "no such host", "port": 1, "batch_max_size": 1}
    gateway.ask(gateway.route({"udp-logger": conf}))
    message = "failed to connect to UDP server: host[no such host] port[1] err: "
    gateway.until(lambda: message in gateway.log[before:])


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"port": 1}, 'property "host" is required'),
        ({"host": "h"}, 'property "port" is required'),
        ({"host": "h", "port": -1}, 'property "port" validation failed'),
        ({"host": "h", "port": 1, "timeout": 0}, 'property "timeout" validation failed'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    assert message in gateway.complaint({"udp-logger": conf})
