"""The plugin client-control: how large a request's body may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

READ = {"phase": "access", "functions": ["return function() ngx.req.read_body() end"]}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    limit = {"nginx_config": {"http": {"client_max_body_size": "100"}}}
    return start_gateway(plugins=["client-control", "serverless-pre-function"], **limit)


def send(gateway: Gateway, path: str, length: int) -> int:
    return gateway.ask(path, method="POST", body=b"x" * length).status


def send_chunks(gateway: Gateway, path: str, body: bytes) -> int:
    """Send a body that does not say how long it is, in two chunks."""
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:half], body[half:]))
    target = (
        f"{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (parts + b"0\r\n\r\n").decode()
    )
    return gateway.ask(target, method="POST").status


@pytest.mark.parametrize(("limit", "length", "status"), [(5, 5, 200), (5, 6, 413), (0, 99, 200)])
def test_a_length_that_is_told(gateway: Gateway, limit: int, length: int, status: int) -> None:
    path = gateway.route({"client-control": {"max_body_size": limit}})
    asked = len(gateway.upstream.requests)
    assert send(gateway, path, length) == status
    assert len(gateway.upstream.requests) == asked + (status == 200)


@pytest.mark.parametrize(("limit", "length", "status"), [(6, 6, 200), (6, 8, 413), (0, 300, 200)])
def test_a_length_that_is_not_told(gateway: Gateway, limit: int, length: int, status: int) -> None:
    plugins = {"client-control": {"max_body_size": limit}, "serverless-pre-function": READ}
    assert send_chunks(gateway, gateway.route(plugins), b"x" * length) == status


def test_the_gateways_own_limit_gives_way(gateway: Gateway) -> None:
    assert send(gateway, gateway.route({}), 101) == 413
    path = gateway.route({"client-control": {"max_body_size": 200}})
    assert send(gateway, path, 101) == 200
    assert send(gateway, path, 201) == 413


def test_without_a_limit_the_gateways_holds(gateway: Gateway) -> None:
    path = gateway.route({"client-control": {}})
    assert send(gateway, path, 100) == 200
    assert send(gateway, path, 101) == 413


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({"max_body_size": -1}, "expected -1 to be at least 0"),
        ({"max_body_size": "1"}, "wrong type: expected integer, got string"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], complaint: str
) -> None:
    assert complaint in gateway.complaint({"client-control": conf})
