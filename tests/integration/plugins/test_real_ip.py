"""The plugin real-ip: whom the rest of the gateway takes for the client."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

PLUGINS = ["real-ip", "response-rewrite"]
SHOW = {"X-Addr": "$remote_addr", "X-Port": "$remote_port", "X-Peer": "$realip_remote_addr"}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    log = {"nginx_config": {"error_log_level": "info"}}
    return start_gateway(plugins=PLUGINS, **log)


@pytest.fixture
def refusing_node() -> str:
    """An address that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def route(gateway: Gateway, **conf: Any) -> str:
    """The path of a route with this configuration, which tells the client's address."""
    return gateway.route({"real-ip": conf, "response-rewrite": {"headers": {"set": SHOW}}})


def address(gateway: Gateway, target: str, *fields: tuple[str, str]) -> str | None:
    """Ask, and return whom the gateway took for the client."""
    answer = gateway.ask(target, list(fields))
    assert answer.status == 200, answer.text
    assert gateway.upstream.last.headers.get("X-Real-IP") == answer.headers.get("X-Addr")
    return answer.headers.get("X-Addr")


def logged(gateway: Gateway, text: str, target: str, *fields: tuple[str, str]) -> str | None:
    """As address(), and `text` must stand in the log then."""
    before = len(gateway.log)
    found = address(gateway, target, *fields)
    assert text in gateway.log[before:]
    return found


# source


def test_an_argument_names_the_client(gateway: Gateway) -> None:
    path = route(gateway, source="arg_realip")
    assert address(gateway, f"{path}?realip=233.252.0.1") == "233.252.0.1"
    assert gateway.upstream.last.headers.get("X-Forwarded-For") == "233.252.0.1"


def test_a_header_names_the_client(gateway: Gateway) -> None:
    path = route(gateway, source="http_xff")
    assert address(gateway, path, ("XFF", "1.1.1.1")) == "1.1.1.1"


def test_the_peer_is_still_known(gateway: Gateway) -> None:
    path = route(gateway, source="arg_realip")
    answer = gateway.ask(f"{path}?realip=233.252.0.1:1080")
    assert answer.headers.get("X-Peer") == "127.0.0.1"
    assert answer.headers.get("X-Port") == "1080"


def test_without_a_port_the_peers_stays(gateway: Gateway) -> None:
    path = route(gateway, source="arg_realip")
    ports = [gateway.ask(path + query).headers.get("X-Port") for query in ("", "?realip=1.1.1.1")]
    assert all(port and int(port) > 1024 for port in ports)


@pytest.mark.parametrize("written", ["1::2", "[1::2]", "[1::2]:1289"])
def test_ipv6(gateway: Gateway, written: str) -> None:
    path = route(gateway, source="http_x_client")
    answer = gateway.ask(path, {"X-Client": written})
    assert answer.headers.get("X-Addr") == "1::2"
    assert (answer.headers.get("X-Port") == "1289") == written.endswith("1289")


def test_log_lines_name_the_client(gateway: Gateway, refusing_node: str) -> None:
    upstream = {"nodes": {refusing_node: 1}, "type": "roundrobin"}
    path = gateway.route({"real-ip": {"source": "arg_realip"}}, upstream=upstream)
    before = len(gateway.log)
    assert gateway.ask(f"{path}?realip=9.8.7.6:80").status == 502
    assert "set real ip: 9.8.7.6, port: 80" in gateway.log[before:]
    lines = [line for line in gateway.log[before:].splitlines() if "[error]" in line]
    assert lines
    assert all("client: 9.8.7.6, " in line for line in lines)


# what is no address


def test_without_an_address_nothing_changes(gateway: Gateway) -> None:
    path = route(gateway, source="arg_realip")
    assert logged(gateway, "missing real address", path) == "127.0.0.1"


@pytest.mark.parametrize("bad", ["?realip=&", "?realip=1.1.1", "?realip=host", "?realip=1.1.1.1.1"])
def test_a_bad_address_changes_nothing(gateway: Gateway, bad: str) -> None:
    path = route(gateway, source="arg_realip")
    assert logged(gateway, "bad address: ", path + bad) == "127.0.0.1"


@pytest.mark.parametrize("port", ["0", "65536", "1000000"])
def test_a_bad_port_changes_nothing(gateway: Gateway, port: str) -> None:
    path = route(gateway, source="arg_realip")
    assert logged(gateway, "bad port: ", f"{path}?realip=1.1.1.1:{port}") == "127.0.0.1"


@pytest.mark.parametrize("port", ["1", "65535"])
def test_the_ends_of_ports(gateway: Gateway, port: str) -> None:
    path = route(gateway, source="arg_realip")
    assert address(gateway, f"{path}?realip=1.1.1.1:{port}") == "1.1.1.1"


# trusted_addresses


def test_only_trusted_peers_are_believed(gateway: Gateway) -> None:
    for trusted, believed in [("127.0.0.0/24", True), ("192.128.0.0/16", False), ("::1", False)]:
        path = route(gateway, source="arg_realip", trusted_addresses=[trusted, "10.0.0.1"])
        expected = "1.1.1.1" if believed else "127.0.0.1"
        assert address(gateway, f"{path}?realip=1.1.1.1") == expected


# X-Forwarded-For


def test_the_last_forwarded_address(gateway: Gateway) -> None:
    path = route(gateway, source="http_x_forwarded_for")
    for value in ("1.1.1.1", "9.9.9.9, 1.1.1.1", "9.9.9.9,1.1.1.1", "a, b,   1.1.1.1"):
        assert address(gateway, path, ("X-Forwarded-For", value)) == "1.1.1.1"
    fields = (("X-Forwarded-For", "2.2.2.2"), ("X-Forwarded-For", "3.3.3.3, 1.1.1.1"))
    assert address(gateway, path, *fields) == "1.1.1.1"
    assert logged(gateway, "missing real address", path) == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("1.1.1.1, 192.128.1.1, 127.0.0.1", "1.1.1.1"),
        ("1.1.1.1, 2.2.2.2, 127.0.0.1", "2.2.2.2"),
        ("127.0.0.2, 192.128.1.1", "127.0.0.2"),
        ("4.4.4.4", "4.4.4.4"),
    ],
)
def test_recursively_the_last_untrusted_one(gateway: Gateway, forwarded: str, client: str) -> None:
    trusted = ["127.0.0.0/8", "192.128.0.0/16"]
    source = "http_x_forwarded_for"
    path = route(gateway, source=source, recursive=True, trusted_addresses=trusted)
    assert address(gateway, path, ("X-Forwarded-For", forwarded)) == client


def test_recursion_needs_trusted_addresses(gateway: Gateway) -> None:
    path = route(gateway, source="http_x_forwarded_for", recursive=True)
    assert address(gateway, path, ("X-Forwarded-For", "1.1.1.1, 2.2.2.2")) == "2.2.2.2"


# configuration


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, 'property "source" is required'),
        ({"source": ""}, 'property "source" validation failed'),
        ({"source": "a", "trusted_addresses": []}, "expect array to have at least 1 items"),
        ({"source": "a", "trusted_addresses": ["127.0.0.1/33"]}, "failed to validate item 1"),
        ({"source": "a", "trusted_addresses": ["::1/129"]}, "invalid ip address: ::1/129"),
        ({"source": "a", "trusted_addresses": ["aa"]}, "object matches none of the required"),
        ({"source": "a", "recursive": 1}, "wrong type: expected boolean, got number"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], complaint: str
) -> None:
    assert complaint in gateway.complaint({"real-ip": conf})
