"""The plugin skywalking-logger, against a server that keeps what it gets."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.collectors import Delivery, HttpCollector, http_collector
from support.gateway import Gateway

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["skywalking-logger"])


@pytest.fixture
def collector() -> Iterator[HttpCollector]:
    with http_collector() as running:
        yield running


def logged(
    gateway: Gateway, collector: HttpCollector, headers: dict[str, str] | None = None, **conf: Any
) -> tuple[Delivery, Any]:
    """What is sent about one request, and its only entry."""
    conf = {"endpoint_addr": collector.uri, "batch_max_size": 1, **conf}
    gateway.ask(gateway.route({"skywalking-logger": conf}), headers)
    gateway.until(lambda: bool(collector.deliveries))
    (delivery,) = collector.deliveries
    (entry,) = delivery.json
    return delivery, entry


def test_an_entry(gateway: Gateway, collector: HttpCollector) -> None:
    delivery, entry = logged(gateway, collector)
    assert (delivery.method, delivery.target) == ("POST", "/v3/logs")
    assert delivery.headers["content-type"] == "application/json"
    body = json.loads(entry["body"]["json"]["json"])
    assert body["response"]["status"] == 200
    assert (entry["service"], entry["serviceInstance"]) == ("APISIX", "APISIX Instance Name")
    assert entry["endpoint"] == f"/{body['route_id']}"
    assert "traceContext" not in entry


def test_names(gateway: Gateway, collector: HttpCollector) -> None:
    conf = {"service_name": "mine", "service_instance_name": "$hostname"}
    _, entry = logged(gateway, collector, **conf)
    assert (entry["service"], entry["serviceInstance"]) == ("mine", socket.gethostname())


def test_the_trace(gateway: Gateway, collector: HttpCollector) -> None:
    def encode(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    parts = ["1", encode("trace"), encode("segment"), "3", "s", "i", "e", "a"]
    _, entry = logged(gateway, collector, {"sw8": "-".join(parts)})
    context = {"traceId": "trace", "traceSegmentId": "segment", "spanId": 3}
    assert entry["traceContext"] == context


def test_a_trace_that_cannot_be_read(gateway: Gateway, collector: HttpCollector) -> None:
    before = len(gateway.log)
    _, entry = logged(gateway, collector, {"sw8": "1-a-b"})
    assert "traceContext" not in entry
    assert "failed to parse trace_context header: 1-a-b" in gateway.log[before:]


def test_a_format(gateway: Gateway, collector: HttpCollector) -> None:
    _, entry = logged(gateway, collector, log_format={"at": "$host"})
    assert json.loads(entry["body"]["json"]["json"])["at"] == "test.com"


def test_a_server_that_refuses(gateway: Gateway, collector: HttpCollector) -> None:
    collector.statuses = [500]
    before = len(gateway.log)
    logged(gateway, collector)
    message = f"server returned status code[500] host[127.0.0.1] port[{collector.port}] body[the"
    gateway.until(lambda: message in gateway.log[before:])


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, 'property "endpoint_addr" is required'),
        ({"endpoint_addr": "x"}, 'property "endpoint_addr" validation failed'),
        ({"endpoint_addr": "http://a", "timeout": 0}, 'property "timeout" validation failed'),
        ({"endpoint_addr": "http://a", "service_name": 1}, 'property "service_name" validation'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    assert message in gateway.complaint({"skywalking-logger": conf})
