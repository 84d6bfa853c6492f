"""The plugin http-logger, against a server that keeps what it gets; time is virtual."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent.ssl import SSLContext
from support.certificates import Authority
from support.collectors import Delivery, HttpCollector, http_collector
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    names = ["http-logger", "prometheus", "serverless-pre-function"]
    return start_gateway(VirtualClock(), plugins=names)


@pytest.fixture
def collector() -> Iterator[HttpCollector]:
    with http_collector() as running:
        yield running


def route(gateway: Gateway, uri: str, **conf: Any) -> str:
    """The path of a route that logs to `uri`."""
    return gateway.route({"http-logger": {"uri": uri, **conf}})


def deliveries(gateway: Gateway, collector: HttpCollector, count: int = 1) -> list[Delivery]:
    """That many deliveries; there must not be more."""
    gateway.until(lambda: len(collector.deliveries) >= count)
    assert len(collector.deliveries) == count
    return collector.deliveries


# what is sent


def test_a_batch_is_an_array(gateway: Gateway, collector: HttpCollector) -> None:
    path = route(gateway, f"{collector.uri}/logs")
    for n in range(2):
        gateway.ask(f"{path}?{n}")
    advance(gateway, 5.1)
    (delivery,) = deliveries(gateway, collector)
    assert (delivery.method, delivery.target) == ("POST", "/logs")
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["host"] == "127.0.0.1"
    assert "authorization" not in delivery.headers
    assert [entry["request"]["uri"] for entry in delivery.json] == [f"{path}?0", f"{path}?1"]
    assert {entry["route_id"] for entry in delivery.json} == {path[1:]}


def test_a_batch_of_one_is_an_object(gateway: Gateway, collector: HttpCollector) -> None:
    path = route(gateway, collector.uri, batch_max_size=1)
    gateway.ask(path)
    (delivery,) = deliveries(gateway, collector)
    assert delivery.target == "/"
    assert delivery.json["route_id"] == path[1:]


def test_a_batch_of_lines(gateway: Gateway, collector: HttpCollector) -> None:
    conf = {"concat_method": "new_line", "log_format": {"n": "$arg_n"}, "batch_max_size": 2}
    path = route(gateway, collector.uri, **conf)
    for n in range(2):
        gateway.ask(f"{path}?n={n}")
    (delivery,) = deliveries(gateway, collector)
    assert delivery.headers["content-type"] == "text/plain"
    lines = [json.loads(line) for line in delivery.body.decode().split("\n")]
    assert lines == [{"n": "0", "route_id": path[1:]}, {"n": "1", "route_id": path[1:]}]


def test_a_batch_of_one_line(gateway: Gateway, collector: HttpCollector) -> None:
    path = route(gateway, collector.uri, concat_method="new_line", batch_max_size=1)
    gateway.ask(path)
    (delivery,) = deliveries(gateway, collector)
    assert delivery.json["route_id"] == path[1:]


def test_the_uri_s_query_and_the_authorization(gateway: Gateway, collector: HttpCollector) -> None:
    uri = f"{collector.uri}/a/b?token=1"
    gateway.ask(route(gateway, uri, auth_header="Bearer x", batch_max_size=1))
    (delivery,) = deliveries(gateway, collector)
    assert delivery.target == "/a/b?token=1"
    assert delivery.headers["authorization"] == "Bearer x"


def test_bodies(gateway: Gateway, collector: HttpCollector) -> None:
    conf = {
        "batch_max_size": 1,
        "include_req_body": True,
        "include_resp_body": True,
        "max_req_body_bytes": 2,
        "max_resp_body_bytes": 3,
    }
    gateway.ask(route(gateway, collector.uri, **conf), method="POST", body=b"sent")
    entry = deliveries(gateway, collector)[0].json
    assert (entry["request"]["body"], entry["response"]["body"]) == ("se", "hel")


def test_bodies_on_conditions(gateway: Gateway, collector: HttpCollector) -> None:
    conf = {
        "batch_max_size": 1,
        "include_req_body": True,
        "include_req_body_expr": [["arg_req", "==", "1"]],
        "include_resp_body": True,
        "include_resp_body_expr": [["arg_resp", "==", "1"]],
    }
    path = route(gateway, collector.uri, **conf)
    for query in ("?req=1", "?resp=1"):
        gateway.ask(path + query, method="POST", body=b"sent")
    found = {
        (each.json["request"].get("body"), each.json["response"].get("body"))
        for each in deliveries(gateway, collector, 2)
    }
    assert found == {("sent", None), (None, "hello")}


def test_a_request_without_a_route(gateway: Gateway, collector: HttpCollector) -> None:
    conf = {"uri": collector.uri, "batch_max_size": 1, "log_format": {"uri": "$uri"}}
    gateway.put("global_rules/g", {"id": "g", "plugins": {"http-logger": conf}})
    try:
        assert gateway.ask("/nowhere").status == 404
        (delivery,) = deliveries(gateway, collector)
        assert delivery.json == {"uri": "/nowhere", "route_id": "no-matched"}
    finally:
        gateway.delete("global_rules/g")


def test_the_format_of_the_metadata(gateway: Gateway, collector: HttpCollector) -> None:
    log_format = {"at": "$host", "as": {"m": "$method"}}
    gateway.put("plugin_metadata/http-logger", {"log_format": log_format})
    try:
        path = route(gateway, collector.uri, batch_max_size=1)
        gateway.ask(path)
        (delivery,) = deliveries(gateway, collector)
        assert delivery.json == {"at": "test.com", "as": {"m": "GET"}, "route_id": path[1:]}
    finally:
        gateway.delete("plugin_metadata/http-logger")


# servers


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_server_that_refuses_is_asked_again(
    gateway: Gateway, collector: HttpCollector, status: int
) -> None:
    collector.statuses = [status]
    before = len(gateway.log)
    gateway.ask(route(gateway, collector.uri, batch_max_size=1, max_retry_count=1))
    message = (
        f"Batch Processor[http logger] failed to process entries: server returned status "
        f"code[{status}] host[127.0.0.1] port[{collector.port}] body[the body]"
    )
    gateway.until(lambda: message in gateway.log[before:])
    assert len(collector.deliveries) == 1
    advance(gateway, 1.1)
    first, second = deliveries(gateway, collector, 2)
    assert first.body == second.body
    assert "dropping the entries" not in gateway.log[before:]


def test_a_server_that_is_not_there(gateway: Gateway) -> None:
    before = len(gateway.log)
    gateway.ask(route(gateway, "http://127.0.0.1:1/x", batch_max_size=1))
    gateway.until(lambda: "dropping the entries" in gateway.log[before:])
    assert "failed to connect to host[127.0.0.1] port[1] connection refused" in gateway.log[before:]


def test_a_server_that_is_slow(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        before = len(gateway.log)
        gateway.ask(route(gateway, f"http://127.0.0.1:{port}/", batch_max_size=1, timeout=2))
        gateway.until(lambda: bool(select.select([silent], [], [], 0)[0]))
        advance(gateway, 1.5)
        assert "error while sending data" not in gateway.log[before:]
        advance(gateway, 1)
        message = f"error while sending data to [127.0.0.1] port[{port}] timeout"
        gateway.until(lambda: message in gateway.log[before:])


def test_https(gateway: Gateway, tmp_path: Path) -> None:
    context = Authority(tmp_path).issue("localhost", "127.0.0.1").server_context(SSLContext)
    with http_collector(ssl_context=context) as collector:
        uri = f"https://127.0.0.1:{collector.port}/s"
        gateway.ask(route(gateway, uri, batch_max_size=1))
        assert deliveries(gateway, collector)[0].target == "/s"


def test_https_of_an_unknown_authority(gateway: Gateway, tmp_path: Path) -> None:
    context = Authority(tmp_path).issue("localhost", "127.0.0.1").server_context(SSLContext)
    with http_collector(ssl_context=context) as collector:
        before = len(gateway.log)
        uri = f"https://127.0.0.1:{collector.port}/s"
        gateway.ask(route(gateway, uri, batch_max_size=1, ssl_verify=True))
        message = f"failed to perform SSL with host[127.0.0.1] port[{collector.port}]"
        gateway.until(lambda: message in gateway.log[before:])
        assert collector.deliveries == []


# configuration


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, 'property "uri" is required'),
        ({"uri": "not a uri"}, 'property "uri" validation failed: failed to match pattern'),
        ({"uri": "http://a", "timeout": 0}, 'property "timeout" validation failed'),
        ({"uri": "http://a", "concat_method": "csv"}, 'property "concat_method" validation failed'),
        ({"uri": "http://a", "auth_header": 1}, 'property "auth_header" validation failed'),
        (
            {"uri": "http://a", "include_req_body_expr": [["a", "bad", "b"]]},
            "failed to validate the 'include_req_body_expr' expression: ",
        ),
        (
            {"uri": "http://a", "include_resp_body_expr": [["a", "bad", "b"]]},
            "failed to validate the 'include_resp_body_expr' expression: ",
        ),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    assert message in gateway.complaint({"http-logger": conf})


def test_plain_http_is_warned_of(gateway: Gateway) -> None:
    before = len(gateway.log)
    route(gateway, "http://127.0.0.1/")
    assert "Using http-logger uri with no TLS is a security risk" in gateway.log[before:]
