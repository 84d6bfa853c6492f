"""The plugin proxy-mirror: copies of requests, whose answers go nowhere."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from support.gateway import Gateway

from pygw.testing.messages import Seen
from pygw.testing.upstream import Upstream


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    log = {"nginx_config": {"error_log_level": "info"}}
    return start_gateway(plugins=["proxy-mirror", "proxy-rewrite"], **log)


@pytest.fixture(scope="module")
def mirror() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


def host_of(mirror: Upstream) -> str:
    return f"http://{mirror.node}"


def copies(gateway: Gateway, mirror: Upstream, count: int, ask: Callable[[], None]) -> list[Seen]:
    """Do what `ask` does; returns the copies that the mirror got, once there are `count`."""
    before = len(mirror.requests)
    ask()
    gateway.until(lambda: len(mirror.requests) >= before + count)
    return mirror.requests[before:]


def copy_of(
    gateway: Gateway, mirror: Upstream, target: str, plugins: Any = None, **request: Any
) -> tuple[Seen, Seen]:
    """Ask a route with these plugins; returns what the upstream got and what the mirror got."""
    conf = {"proxy-mirror": {"host": host_of(mirror)}} if plugins is None else plugins
    path = gateway.route(conf)

    def ask() -> None:
        answer = gateway.ask(target.replace("PATH", path), **request)
        assert (answer.status, answer.text) == (200, "hello")

    (copy,) = copies(gateway, mirror, 1, ask)
    return gateway.upstream.last, copy


def test_the_mirror_gets_the_request_and_the_client_the_upstreams_answer(
    gateway: Gateway, mirror: Upstream
) -> None:
    mirror.reply_once(500, b"no", {"X-Mirror": "1"})
    original, copy = copy_of(gateway, mirror, "PATH?a=1&b=%20", headers={"X-A": "1"})
    assert (copy.method, copy.target) == (original.method, original.target)
    assert copy.headers.get("X-A") == "1"
    assert copy.headers.get("Host") == original.headers.get("Host") == "test.com"
    assert copy.headers.get("Connection") == "close"
    assert original.headers.get("Connection") != "close"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_bodies_are_copied(gateway: Gateway, mirror: Upstream, method: str) -> None:
    original, copy = copy_of(gateway, mirror, "PATH", method=method, body=b"a body")
    assert copy.method == method
    assert copy.body == original.body == b"a body"
    assert copy.headers.get("Content-Length") == "6"


def test_bodies_in_files_are_copied(gateway: Gateway, mirror: Upstream) -> None:
    body = bytes(range(256)) * 4096
    original, copy = copy_of(gateway, mirror, "PATH", method="POST", body=body)
    assert copy.body == original.body == body


def test_what_is_rewritten_later_is_mirrored_but_for_the_uri(
    gateway: Gateway, mirror: Upstream
) -> None:
    rewrite = {"uri": "/new", "headers": {"set": {"X-B": "2"}}}
    plugins = {"proxy-mirror": {"host": host_of(mirror)}, "proxy-rewrite": rewrite}
    original, copy = copy_of(gateway, mirror, "PATH?x=1", plugins)
    assert original.target == "/new?x=1"
    assert copy.target.startswith("/r")  # proxy-rewrite has the lower priority
    assert copy.headers.get("X-B") == "2"


# path, path_concat_mode


@pytest.mark.parametrize(
    ("conf", "query", "target"),
    [
        ({"path": "/a"}, "", "/a"),
        ({"path": "/a"}, "?x=1", "/a?x=1"),
        ({"path": "/a", "path_concat_mode": "replace"}, "?x=1", "/a?x=1"),
        ({"path": "/a", "path_concat_mode": "prefix"}, "?x=1", "/aPATH?x=1"),
    ],
)
def test_path(
    gateway: Gateway, mirror: Upstream, conf: dict[str, Any], query: str, target: str
) -> None:
    plugins = {"proxy-mirror": {"host": host_of(mirror), **conf}}
    original, copy = copy_of(gateway, mirror, f"PATH{query}", plugins)
    assert copy.target == target.replace("PATH", original.target.partition("?")[0])


# sample_ratio


def test_sample_ratio(gateway: Gateway, mirror: Upstream) -> None:
    conf = {"host": host_of(mirror), "sample_ratio": 0.5}
    path = gateway.route({"proxy-mirror": conf})

    def ask() -> None:
        for _ in range(60):
            assert gateway.ask(path).status == 200

    marks = []

    def marked() -> None:
        before = len(gateway.log)
        ask()
        marks.append(gateway.log[before:].count("mirror request sample_ratio conf: 0.5"))

    assert 5 < len(copies(gateway, mirror, 6, marked)) < 55
    assert marks == [60]


# hosts


def test_a_host_name_is_resolved(gateway: Gateway, mirror: Upstream) -> None:
    port = mirror.node.rpartition(":")[2]
    plugins = {"proxy-mirror": {"host": f"http://localhost:{port}"}}
    copy_of(gateway, mirror, "PATH", plugins)
    assert f"http://localhost:{port} is resolved to: http://127.0.0.1:{port}" in gateway.log


def test_a_name_that_is_not_found_disturbs_no_one(gateway: Gateway) -> None:
    path = gateway.route({"proxy-mirror": {"host": "http://not-find-domain.notfind"}})
    assert gateway.ask(path).text == "hello"
    line = "dns resolver resolves domain: not-find-domain.notfind error: "
    assert line in gateway.log
    assert "will continue to use the host: not-find-domain.notfind" in gateway.log
    gateway.until(lambda: "could not be resolved" in gateway.log)


def test_a_mirror_that_refuses_disturbs_no_one(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    path = gateway.route({"proxy-mirror": {"host": f"http://127.0.0.1:{port}"}})
    assert gateway.ask(path).text == "hello"
    gateway.until(lambda: "connect() failed (111: Connection refused)" in gateway.log)


def test_a_mirror_that_never_answers_delays_no_one(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        path = gateway.route({"proxy-mirror": {"host": f"http://127.0.0.1:{port}"}})
        assert [gateway.ask(path).text for _ in range(3)] == ["hello"] * 3
    gevent.sleep(0)


def test_grpc_is_not_mirrored(gateway: Gateway) -> None:
    path = gateway.route({"proxy-mirror": {"host": "grpc://127.0.0.1:1986"}})
    assert gateway.ask(path).text == "hello"  # APISIX does so for its gRPC routes alone
    assert 'invalid URL prefix in "grpc://127.0.0.1:1986/' in gateway.log


# configuration


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, 'property "host" is required'),
        ({"host": "ftp://127.0.0.1:1999"}, 'property "host" validation failed: failed to match'),
        ({"host": "127.0.0.1:1999"}, 'property "host" validation failed'),
        ({"host": "http://127.0.0.1::1999"}, 'property "host" validation failed'),
        ({"host": "http://127.0.0.1:1999/invalid"}, 'property "host" validation failed'),
        ({"host": "http://a", "path": "x"}, 'property "path" validation failed'),
        ({"host": "http://a", "path": "/a?b"}, 'property "path" validation failed'),
        ({"host": "http://a", "path": "/a&b"}, 'property "path" validation failed'),
        ({"host": "http://a", "path_concat_mode": "x"}, 'property "path_concat_mode"'),
        ({"host": "http://a", "sample_ratio": 10}, "expected 10 to be at most 1"),
        ({"host": "http://a", "sample_ratio": 0}, "to be at least 1e-05"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], complaint: str
) -> None:
    assert complaint in gateway.complaint({"proxy-mirror": conf})


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1", "https://a.b-c:443", "http://[::1]:80", "grpcs://a:1", "http://a"]
)
def test_hosts_that_are_taken(gateway: Gateway, host: str) -> None:
    gateway.route({"proxy-mirror": {"host": host}})
