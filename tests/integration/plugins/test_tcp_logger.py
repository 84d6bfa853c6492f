"""The plugin tcp-logger, and by it the batches of all loggers; time is virtual."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent.ssl import SSLContext
from support.certificates import Authority
from support.collectors import TcpCollector, tcp_collector
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["tcp-logger", "serverless-pre-function"])


@pytest.fixture
def collector() -> Iterator[TcpCollector]:
    with tcp_collector() as running:
        yield running


def route(gateway: Gateway, port: int, **conf: Any) -> str:
    """The path of a route that logs to a port."""
    return gateway.route({"tcp-logger": {"host": "127.0.0.1", "port": port, **conf}})


def received(gateway: Gateway, collector: TcpCollector, count: int = 1) -> list[Any]:
    """What came in that many connections, read as JSON."""
    gateway.until(lambda: len(collector.received) >= count)
    assert len(collector.received) == count
    return [json.loads(data) for data in collector.received]


def uris(batch: list[Any]) -> list[str]:
    return [entry["request"]["uri"] for entry in batch]


# batches


def test_a_batch_of_one_is_an_object_and_is_sent_at_once(
    gateway: Gateway, collector: TcpCollector
) -> None:
    path = route(gateway, collector.port, batch_max_size=1)
    for n in range(2):
        gateway.ask(f"{path}?{n}")
    batches = received(gateway, collector, 2)
    assert sorted(uris(batches)) == [f"{path}?0", f"{path}?1"]


def test_a_full_batch_is_sent_at_once(gateway: Gateway, collector: TcpCollector) -> None:
    path = route(gateway, collector.port, batch_max_size=2)
    for n in range(2):
        gateway.ask(f"{path}?{n}")
    (batch,) = received(gateway, collector)
    assert uris(batch) == [f"{path}?0", f"{path}?1"]


def test_a_batch_is_sent_when_nothing_came_for_a_while(
    gateway: Gateway, collector: TcpCollector
) -> None:
    path = route(gateway, collector.port, inactive_timeout=2)
    gateway.ask(path)
    advance(gateway, 1.9)
    gateway.ask(path)
    assert collector.received == []
    advance(gateway, 0.2)  # the timer finds that the last entry is young, and waits again
    assert collector.received == []
    advance(gateway, 2)
    (batch,) = received(gateway, collector)
    assert len(batch) == 2


def test_nothing_waits_longer_than_the_duration(gateway: Gateway, collector: TcpCollector) -> None:
    path = route(gateway, collector.port, inactive_timeout=2, buffer_duration=3)
    for _ in range(3):
        gateway.ask(path)
        advance(gateway, 1.5)
    gateway.until(lambda: bool(collector.received))
    assert len(received(gateway, collector)[0]) == 3


def test_a_batch_that_cannot_be_sent_is_dropped(gateway: Gateway) -> None:
    before = len(gateway.log)
    gateway.ask(route(gateway, 1, batch_max_size=1))
    gateway.until(lambda: "dropping the entries" in gateway.log[before:])
    log = gateway.log[before:]
    assert "Batch Processor[tcp logger] failed to process entries: " in log
    assert "failed to connect to TCP server: host[127.0.0.1] port[1] err: " in log
    assert "Batch Processor[tcp logger] exceeded the max_retry_count[1] dropping the entries" in log


def test_a_batch_is_tried_again(gateway: Gateway) -> None:
    before = len(gateway.log)
    conf = {"batch_max_size": 1, "max_retry_count": 2, "retry_delay": 3, "name": "mine"}
    gateway.ask(route(gateway, 1, **conf))
    failure = "Batch Processor[mine] failed to process entries"
    for failures in range(1, 4):
        gateway.until(lambda: gateway.log[before:].count(failure) == failures)  # noqa: B023
        assert ("dropping the entries" in gateway.log[before:]) is (failures == 3)
        advance(gateway, 2.5)
        assert gateway.log[before:].count(failure) == failures
        advance(gateway, 0.5)


def test_each_configuration_has_batches_of_its_own(
    gateway: Gateway, collector: TcpCollector
) -> None:
    for name in ("one", "two"):
        gateway.ask(route(gateway, collector.port, name=name))
    advance(gateway, 5.1)
    assert [len(batch) for batch in received(gateway, collector, 2)] == [1, 1]


def test_what_waits_is_limited(gateway: Gateway, collector: TcpCollector) -> None:
    gateway.put("plugin_metadata/tcp-logger", {"max_pending_entries": 2})
    try:
        path = route(gateway, collector.port, name="limited")
        before = len(gateway.log)
        for n in range(4):
            gateway.ask(f"{path}?{n}")
        log = gateway.log[before:]
        assert log.count("max pending entries limit exceeded. discarding entry.") == 1
        assert "max_pending_entries: 2 discarded_entries: 1" in log
        advance(gateway, 5.1)
        (batch,) = received(gateway, collector)
        assert uris(batch) == [f"{path}?0", f"{path}?1"]
        gateway.ask(path)
        advance(gateway, 5.1)
        assert len(received(gateway, collector, 2)[1]) == 1
    finally:
        gateway.delete("plugin_metadata/tcp-logger")


# entries


def test_the_format_of_the_configuration(gateway: Gateway, collector: TcpCollector) -> None:
    path = route(gateway, collector.port, batch_max_size=1, log_format={"m": "$method"})
    gateway.ask(path)
    assert received(gateway, collector) == [{"m": "GET", "route_id": path[1:]}]


def test_the_format_of_the_metadata(gateway: Gateway, collector: TcpCollector) -> None:
    gateway.put("plugin_metadata/tcp-logger", {"log_format": {"at": "$host"}})
    try:
        path = route(gateway, collector.port, batch_max_size=1)
        gateway.ask(path)
        assert received(gateway, collector) == [{"at": "test.com", "route_id": path[1:]}]
    finally:
        gateway.delete("plugin_metadata/tcp-logger")


def test_bodies(gateway: Gateway, collector: TcpCollector) -> None:
    conf = {"batch_max_size": 1, "include_req_body": True, "include_resp_body": True}
    gateway.ask(route(gateway, collector.port, **conf), method="POST", body=b"sent")
    (entry,) = received(gateway, collector)
    assert (entry["request"]["body"], entry["response"]["body"]) == ("sent", "hello")


# TLS


def test_tls(gateway: Gateway, tmp_path: Path) -> None:
    certificate = Authority(tmp_path).issue("localhost")
    context = certificate.server_context(SSLContext)
    with tcp_collector(ssl_context=context) as collector:
        conf = {"tls": True, "tls_options": "localhost", "batch_max_size": 1}
        gateway.ask(route(gateway, collector.port, **conf))
        assert received(gateway, collector)[0]["response"]["status"] == 200


def test_a_server_that_speaks_no_tls(gateway: Gateway, collector: TcpCollector) -> None:
    before = len(gateway.log)
    path = route(gateway, collector.port, tls=True, timeout=50, batch_max_size=1)
    gateway.ask(path)
    advance(gateway, 0.1)
    message = (
        f"failed to perform TLS handshake to TCP server: host[127.0.0.1] port[{collector.port}]"
    )
    gateway.until(lambda: message in gateway.log[before:])


# configuration


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"port": 1}, 'property "host" is required'),
        ({"host": "h"}, 'property "port" is required'),
        (
            {"host": "h", "port": -1},
            'property "port" validation failed: expected -1 to be at least 0',
        ),
        ({"host": "h", "port": 1, "timeout": 0}, 'property "timeout" validation failed'),
        ({"host": "h", "port": 1, "tls": "yes"}, 'property "tls" validation failed'),
        ({"host": "h", "port": 1, "batch_max_size": 0}, 'property "batch_max_size" validation'),
        ({"host": "h", "port": 1, "buffer_duration": 0}, 'property "buffer_duration" validation'),
        ({"host": "h", "port": 1, "inactive_timeout": 0}, 'property "inactive_timeout" validation'),
        ({"host": "h", "port": 1, "max_retry_count": -1}, 'property "max_retry_count" validation'),
        ({"host": "h", "port": 1, "retry_delay": -1}, 'property "retry_delay" validation'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    assert message in gateway.complaint({"tcp-logger": conf})


def test_no_tls_is_warned_of(gateway: Gateway) -> None:
    before = len(gateway.log)
    route(gateway, 1, tls=False)
    message = "Keeping tls disabled in tcp-logger configuration is a security risk"
    assert message in gateway.log[before:]
