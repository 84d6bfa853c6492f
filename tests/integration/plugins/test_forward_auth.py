"""The plugin forward-auth as clients, the authorization service and upstreams meet it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent import socket
from support.gateway import Gateway

from pygw.testing.messages import answer
from pygw.testing.upstream import Upstream


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["forward-auth"])


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    """The authorization service: says 200 unless `answer` says otherwise."""
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def route(gateway: Gateway, service: Upstream) -> Callable[..., str]:
    """route(**conf): a route with the plugin, which asks the service; returns its path."""
    uri = f"http://{service.node}/auth?a=b"
    return lambda **conf: gateway.route({"forward-auth": {"uri": uri, **conf}})


def test_what_the_service_is_told(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    path = route()
    forged = {"X-Forwarded-Method": "DELETE", "X-Forwarded-Uri": "/x", "Authorization": "me"}
    assert gateway.ask(f"{path}/p?q=1", forged, "PUT", b"body").text == "hello"
    asked = service.last
    assert (asked.method, asked.target, asked.body) == ("GET", "/auth?a=b", b"")
    assert asked.headers.get("X-Forwarded-Proto") == "http"
    assert asked.headers.get("X-Forwarded-Method") == "PUT"
    assert asked.headers.get("X-Forwarded-Host") == "test.com"
    assert asked.headers.get("X-Forwarded-Uri") == f"{path}/p?q=1"
    assert asked.headers.get("X-Forwarded-For") == "127.0.0.1"
    assert asked.headers.get("Authorization") is None
    assert gateway.upstream.last.body == b"body"


def test_headers_of_the_client_to_the_service(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    path = route(request_headers=["Authorization", "X-Forwarded-Method", "X-None"])
    gateway.ask(path, {"Authorization": "me", "X-Forwarded-Method": "DELETE"})
    assert service.last.headers.get("Authorization") == "me"
    assert service.last.headers.all("X-Forwarded-Method") == ["GET"]
    assert service.last.headers.get("X-None") is None


def test_extra_headers(gateway: Gateway, service: Upstream, route: Callable[..., str]) -> None:
    extra = {"X-Fixed": "one", "X-Var": "at $remote_addr", "X-Tenant": "$post_arg.tenant"}
    path = route(extra_headers=extra)
    form = {"Content-Type": "application/json"}
    gateway.ask(path, {**form, "X-Fixed": "client's"}, "POST", b'{"tenant": "t1"}')
    assert service.last.headers.all("X-Fixed") == ["one"]
    assert service.last.headers.get("X-Var") == "at 127.0.0.1"
    assert service.last.headers.get("X-Tenant") == "t1"


def test_headers_of_the_service_to_the_upstream(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    path = route(upstream_headers=["X-User-ID", "X-Role"])
    service.reply_once(200, "", {"X-User-ID": "ann", "X-Secret": "s"})
    gateway.ask(path, {"X-User-ID": "forged", "X-Role": "root"})
    seen = gateway.upstream.last.headers
    assert seen.all("X-User-ID") == ["ann"]
    assert seen.get("X-Role") is None  # the service did not say so, and the client may not
    assert seen.get("X-Secret") is None


@pytest.mark.parametrize("status", [300, 302, 401, 403, 500])
def test_refused(
    gateway: Gateway, service: Upstream, route: Callable[..., str], status: int
) -> None:
    path = route(client_headers=["Location", "X-Why"])
    before = len(gateway.upstream.requests)
    service.reply_once(status, "go away", {"Location": "/login", "X-Other": "1"})
    answer = gateway.ask(path)
    assert answer.status == status
    assert answer.text == "go away"
    assert answer.headers.get("Location") == "/login"
    assert answer.headers.get("X-Why") is None
    assert answer.headers.get("X-Other") is None
    assert len(gateway.upstream.requests) == before


def test_no_headers_for_the_client_unless_named(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    service.reply_once(403, "no", {"Location": "/login"})
    assert gateway.ask(route()).headers.get("Location") is None


def test_the_body_goes_along_in_a_post(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    path = route(request_method="POST")
    gateway.ask(path, {"Content-Encoding": "own"}, "POST", b"tenant=1")
    assert (service.last.method, service.last.body) == ("POST", b"tenant=1")
    assert service.last.headers.get("Content-Encoding") == "own"
    assert service.last.headers.get("Content-Length") == "8"
    assert gateway.upstream.last.body == b"tenant=1"


def test_a_chunked_body_is_framed_anew(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    path = route(request_method="POST", request_headers=["Content-Type"])
    lines = [f"POST {path} HTTP/1.1", "Host: test.com", "Transfer-Encoding: chunked"]
    lines += ["Connection: close", "", "4", "data", "0", "", ""]
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        with connection.makefile("rb") as stream:
            assert answer(stream.read(), "POST").status == 200
    assert service.last.headers.get("Transfer-Encoding") is None
    assert service.last.headers.get("Content-Length") == "4"
    assert service.last.body == b"data"


def test_line_ends_of_clients_do_not_get_into_headers(
    gateway: Gateway,
    service: Upstream,
    route: Callable[..., str],
    plugin_source: Path | None,
    pytestconfig: pytest.Config,
) -> None:
    path = route(extra_headers={"X-User": "$arg_user"})
    if plugin_source and pytestconfig.getoption("--lua-tree"):
        pytest.skip("lua-resty-http checks this since APISIX's fork 0.2.3; the tree has another")
    before = len(service.requests)
    assert gateway.ask(f"{path}?user=guest%0d%0aX-Role:%20admin").status == 403
    assert "forward auth, err: invalid characters found in header value" in gateway.log
    assert len(service.requests) == before


def test_a_get_without_a_body_by_post(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    assert gateway.ask(route(request_method="POST")).status == 200
    assert service.last.headers.get("Content-Length") == "0"


def test_a_body_that_is_too_long_for_the_service(
    gateway: Gateway, service: Upstream, route: Callable[..., str]
) -> None:
    path = route(request_method="POST", max_req_body_size=4)
    before = len(service.requests)
    assert gateway.ask(path, method="POST", body=b"12345").status == 413
    assert "failed to read request body: " in gateway.log
    assert len(service.requests) == before
    assert gateway.ask(path, method="POST", body=b"1234").status == 200


@pytest.mark.parametrize(
    ("conf", "status"),
    [({}, 403), ({"status_on_error": 503}, 503), ({"allow_degradation": True}, 200)],
)
def test_a_service_that_is_not_there(
    gateway: Gateway, route: Callable[..., str], conf: dict[str, Any], status: int
) -> None:
    path = route(uri="http://127.0.0.1:1/auth", **conf)
    assert gateway.ask(path).status == status
    if status != 200:
        assert "failed to process forward auth, err: connection refused" in gateway.log


def test_a_service_that_takes_too_long(gateway: Gateway, route: Callable[..., str]) -> None:
    class Slow(Upstream):
        def _serve(self, connection: Any, address: Any) -> None:
            connection.recv(1) and connection.makefile("rb").read()
            connection.close()

    slow = Slow()
    path = route(uri=f"http://{slow.node}/auth", timeout=1)
    assert gateway.ask(path).status == 403
    assert "failed to process forward auth, err: timeout" in gateway.log
    slow.stop()


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ({}, 'property "uri" is required'),
        (
            {"uri": 3233},
            'property "uri" validation failed: wrong type: expected string, got number',
        ),
        (
            {"uri": "http://a.test", "request_headers": "test"},
            'property "request_headers" validation failed: wrong type: expected array, got string',
        ),
        (
            {"uri": "http://a.test", "request_method": "PUT"},
            'property "request_method" validation failed: matches none of the enum values',
        ),
        (
            {"uri": "http://a.test", "extra_headers": {}},
            'property "extra_headers" validation failed: '
            "expect object to have at least 1 properties",
        ),
        (
            {"uri": "http://a.test", "timeout": 60001},
            'property "timeout" validation failed: expected 60001 to be at most 60000',
        ),
        (
            {"uri": "http://a.test", "status_on_error": 199},
            'property "status_on_error" validation failed: expected 199 to be at least 200',
        ),
        (
            {"uri": "http://a.test", "keepalive_timeout": 999},
            'property "keepalive_timeout" validation failed: expected 999 to be at least 1000',
        ),
        (
            {"uri": "http://a.test", "keepalive_pool": 0},
            'property "keepalive_pool" validation failed: expected 0 to be at least 1',
        ),
        (
            {"uri": "http://a.test", "max_req_body_size": 0},
            'property "max_req_body_size" validation failed: expected 0 to be at least 1',
        ),
    ],
)
def test_configurations_that_are_refused(gateway: Gateway, conf: dict[str, Any], why: str) -> None:
    assert why in gateway.complaint({"forward-auth": conf})


def test_what_is_not_safe_is_said(gateway: Gateway, route: Callable[..., str]) -> None:
    route(uri="http://a.test/", ssl_verify=False)
    assert "Using forward-auth uri with no TLS is a security risk" in gateway.log
    why = "Keeping ssl_verify disabled in forward-auth configuration is a security risk"
    assert why in gateway.log
