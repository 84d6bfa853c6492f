"""The plugin loki-logger, against a server that keeps what it gets; time is virtual."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.collectors import Delivery, HttpCollector, http_collector
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["loki-logger"])


@pytest.fixture
def collector() -> Iterator[HttpCollector]:
    with http_collector() as running:
        yield running


def route(gateway: Gateway, collector: HttpCollector, **conf: Any) -> str:
    """The path of a route that logs to the collector, at once."""
    conf = {"endpoint_addrs": [collector.uri], "batch_max_size": 1, **conf}
    return gateway.route({"loki-logger": conf})


def delivery(gateway: Gateway, collector: HttpCollector) -> Delivery:
    """The only one."""
    gateway.until(lambda: bool(collector.deliveries))
    (found,) = collector.deliveries
    return found


def test_an_entry(gateway: Gateway, collector: HttpCollector) -> None:
    path = route(gateway, collector)
    gateway.ask(path)
    found = delivery(gateway, collector)
    assert (found.method, found.target) == ("POST", "/loki/api/v1/push")
    assert found.headers["x-scope-orgid"] == "fake"
    assert found.headers["content-type"] == "application/json"
    (stream,) = found.json["streams"]
    assert stream["stream"] == {"job": "apisix"}
    ((time, line),) = stream["values"]
    entry = json.loads(line)
    assert entry["route_id"] == path[1:]
    assert int(time) == pytest.approx(entry["start_time"] * 1e6, abs=1e6)
    assert not any(name.startswith("loki") for name in entry)


def test_where_it_is_sent(gateway: Gateway, collector: HttpCollector) -> None:
    conf = {"endpoint_uri": "/push?x=1", "tenant_id": "me", "headers": {"X-Own": "1"}}
    gateway.ask(route(gateway, collector, **conf))
    found = delivery(gateway, collector)
    assert found.target == "/push?x=1"
    assert (found.headers["x-scope-orgid"], found.headers["x-own"]) == ("me", "1")


def test_each_set_of_labels_has_a_stream(gateway: Gateway, collector: HttpCollector) -> None:
    labels = {"who": "$arg_who", "kind": "fixed", "odd": "$arg_none"}
    conf = {"log_labels": labels, "log_format": {"n": "$arg_n"}, "batch_max_size": 3}
    path = route(gateway, collector, **conf)
    for n, who in enumerate(["jo", "al", "jo"]):
        gateway.ask(f"{path}?who={who}&n={n}")
    streams = delivery(gateway, collector).json["streams"]
    found = {
        stream["stream"]["who"]: [json.loads(line)["n"] for _, line in stream["values"]]
        for stream in streams
    }
    assert found == {"jo": ["0", "2"], "al": ["1"]}
    assert {stream["stream"]["kind"] for stream in streams} == {"fixed"}


def test_a_server_that_refuses_gets_the_same_again(
    gateway: Gateway, collector: HttpCollector
) -> None:
    collector.statuses = [429]
    before = len(gateway.log)
    gateway.ask(route(gateway, collector, max_retry_count=1))
    message = "loki server returned status: 429, body: the body"
    gateway.until(lambda: message in gateway.log[before:])
    advance(gateway, 1.1)
    gateway.until(lambda: len(collector.deliveries) == 2)
    assert collector.deliveries[0].json == collector.deliveries[1].json


def test_a_server_that_is_not_there(gateway: Gateway) -> None:
    before = len(gateway.log)
    conf = {"endpoint_addrs": ["http://127.0.0.1:1"], "batch_max_size": 1}
    gateway.ask(gateway.route({"loki-logger": conf}))
    message = "Batch Processor[loki logger] failed to process entries: connection refused"
    gateway.until(lambda: message in gateway.log[before:])


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, 'property "endpoint_addrs" is required'),
        ({"endpoint_addrs": []}, 'property "endpoint_addrs" validation failed'),
        ({"endpoint_addrs": ["x"]}, 'property "endpoint_addrs" validation failed'),
        ({"endpoint_uri": ""}, 'property "endpoint_uri" validation failed'),
        ({"tenant_id": 1}, 'property "tenant_id" validation failed'),
        ({"headers": {"a": ""}}, 'property "headers" validation failed'),
        ({"log_labels": {"a": ""}}, 'property "log_labels" validation failed'),
        ({"timeout": 60001}, 'property "timeout" validation failed'),
        ({"keepalive_timeout": 999}, 'property "keepalive_timeout" validation failed'),
        ({"keepalive_pool": 0}, 'property "keepalive_pool" validation failed'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    whole = {"endpoint_addrs": ["http://a"], **conf} if conf else conf
    assert message in gateway.complaint({"loki-logger": whole})
