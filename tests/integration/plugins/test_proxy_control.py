"""The plugins proxy-control and proxy-buffering: what is held back on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent import socket
from support.gateway import PATIENCE, Gateway

from pygw.testing.messages import answer, read_request


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["proxy-control", "proxy-buffering"])


@pytest.mark.parametrize("buffering", [True, False])
def test_request_buffering(gateway: Gateway, buffering: bool) -> None:
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        node = f"127.0.0.1:{listener.getsockname()[1]}"
        upstream = {"nodes": {node: 1}, "type": "roundrobin"}
        conf = {"request_buffering": buffering}
        path = gateway.route({"proxy-control": conf}, upstream=upstream)
        client = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        client.sendall(f"{head}ab".encode())
        accepted = gevent.spawn(listener.accept)
        if buffering:
            assert gateway.ask(gateway.route({})).status == 200  # time passes
            assert not accepted.ready()
            client.sendall(b"cd")
        with gevent.Timeout(PATIENCE):
            connection, _ = accepted.get()
        stack.enter_context(connection)
        if not buffering:
            client.sendall(b"cd")
        with gevent.Timeout(PATIENCE), connection.makefile("rb") as stream:
            seen = read_request(stream)
        assert seen
        assert seen.body == b"abcd"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        with gevent.Timeout(PATIENCE), client.makefile("rb") as stream:
            assert answer(stream.read(), "POST").body == b"ok"


@pytest.mark.parametrize("disabled", [True, False])
def test_responses_are_passed_on_as_they_come(gateway: Gateway, disabled: bool) -> None:
    path = gateway.route({"proxy-buffering": {"disable_proxy_buffering": disabled}})
    assert gateway.ask(path).text == "hello"


@pytest.mark.parametrize(
    "plugins",
    [
        {"proxy-control": {"request_buffering": 1}},
        {"proxy-buffering": {"disable_proxy_buffering": 1}},
    ],
)
def test_configurations_that_are_refused(gateway: Gateway, plugins: dict[str, Any]) -> None:
    assert "wrong type: expected boolean, got number" in gateway.complaint(plugins)
