"""The plugin attach-consumer-label: what the upstream learns of the consumer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

CONF = {"headers": {"X-Department": "$department", "X-Plan": "$plan"}}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With jack, whose label says a department, and rose without labels."""
    gateway = start_gateway(plugins=["attach-consumer-label", "key-auth"])
    for name, more in (("jack", {"labels": {"department": "dev"}}), ("rose", {})):
        plugins = {"key-auth": {"key": name}}
        gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins, **more})
    return gateway


def test_labels_become_headers(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {}, "attach-consumer-label": CONF})
    assert gateway.ask(path, {"apikey": "jack"}).status == 200
    assert gateway.upstream.last.headers.get("X-Department") == "dev"
    assert gateway.upstream.last.headers.get("X-Plan") is None


@pytest.mark.parametrize("name", ["jack", "rose"])
def test_what_the_client_says_is_dropped(gateway: Gateway, name: str) -> None:
    path = gateway.route({"key-auth": {}, "attach-consumer-label": CONF})
    claims = {"X-Department": "board", "X-Plan": "gold", "X-Other": "kept"}
    gateway.ask(path, {"apikey": name, **claims})
    seen = gateway.upstream.last.headers
    assert seen.get("X-Department") == ("dev" if name == "jack" else None)
    assert seen.get("X-Plan") is None
    assert seen.get("X-Other") == "kept"


def test_without_a_consumer(gateway: Gateway) -> None:
    gateway.ask(gateway.route({"attach-consumer-label": CONF}), {"X-Plan": "gold"})
    assert gateway.upstream.last.headers.get("X-Plan") is None


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, 'property "headers" is required'),
        ({"headers": {}}, 'property "headers" validation failed'),
        ({"headers": {"X-Plan": "plan"}}, 'property "headers" validation failed'),
        ({"headers": {"X-Plan": 1}}, 'property "headers" validation failed'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"attach-consumer-label": conf})
    assert f"configuration of plugin attach-consumer-label err: {reason}" in log
