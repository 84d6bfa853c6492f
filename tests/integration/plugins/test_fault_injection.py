"""The plugin fault-injection as clients meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from support.gateway import Gateway

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway], clock: VirtualClock) -> Gateway:
    return start_gateway(clock, plugins=["fault-injection"])


def route(gateway: Gateway, **conf: Any) -> str:
    """The path of a new route with these faults."""
    return gateway.route({"fault-injection": conf})


def test_an_abort(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    conf = {"http_status": 505, "body": "Fault for $remote_addr"}
    answer = gateway.ask(route(gateway, abort=conf))
    assert (answer.status, answer.text) == (505, "Fault for 127.0.0.1")
    assert len(gateway.upstream.requests) == asked
    assert gateway.ask(route(gateway, abort={"http_status": 200})).text == ""


def test_headers_of_an_abort(gateway: Gateway) -> None:
    headers = {"X-Text": "of $remote_addr", "X-Number": 5}
    answer = gateway.ask(route(gateway, abort={"http_status": 403, "headers": headers}))
    found = [answer.headers.get(name) for name in ("X-Text", "X-Number")]
    assert found == ["of 127.0.0.1", "5"]


def test_a_delay(gateway: Gateway, clock: VirtualClock) -> None:
    path = route(gateway, delay={"duration": 0.25})
    other = route(gateway, abort={"http_status": 418})
    asking = gevent.spawn(gateway.ask, path)
    for _ in range(2):  # when the second one is answered, the first one waits
        assert gateway.ask(other).status == 418
    clock.advance(0.24)
    assert gateway.ask(other).status == 418
    assert not asking.ready()
    clock.advance(0.02)
    assert asking.get(timeout=20).text == "hello"


@pytest.mark.parametrize(("percentage", "status"), [(0, 200), (100, 403)])
def test_a_part_of_the_requests(gateway: Gateway, percentage: int, status: int) -> None:
    path = route(gateway, abort={"http_status": 403, "percentage": percentage})
    assert {gateway.ask(path).status for _ in range(20)} == {status}


def test_about_half_of_the_requests(gateway: Gateway) -> None:
    path = route(gateway, abort={"http_status": 403, "percentage": 50})
    aborted = sum(gateway.ask(path).status == 403 for _ in range(200))
    assert 50 < aborted < 150


RULES = [
    [["arg_name", "==", "jack"], ["arg_age", "==", "18"]],
    [["http_x_try", "!", "~~", "[23]"], ["http_x_try", "~~", "\\d"]],
]


@pytest.mark.parametrize(
    ("tail", "headers", "status"),
    [
        ("?name=jack&age=18", {}, 403),
        ("?name=jack&age=19", {}, 200),
        ("?name=rose", {"X-Try": "1"}, 403),
        ("?name=rose", {"X-Try": "2"}, 200),
        ("", {}, 200),
    ],
)
def test_rules(gateway: Gateway, tail: str, headers: dict[str, str], status: int) -> None:
    path = route(gateway, abort={"http_status": 403, "vars": RULES})
    assert gateway.ask(path + tail, headers).status == status


def test_a_delay_has_rules_of_its_own(gateway: Gateway) -> None:
    delay = {"duration": 1000, "vars": [[["arg_slow", "==", "1"]]]}
    assert gateway.ask(route(gateway, delay=delay)).text == "hello"
    assert gateway.ask(route(gateway, delay={"duration": 1000, "percentage": 0})).status == 200


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, "expect object to have at least 1 properties"),
        ({"abort": {}}, 'property "http_status" is required'),
        ({"abort": {"http_status": 199}}, "expected 199 to be at least 200"),
        ({"abort": {"http_status": 200, "percentage": 101}}, "expected 101 to be at most 100"),
        ({"abort": {"http_status": 200, "headers": {}}}, "expect object to have at least 1"),
        ({"abort": {"http_status": 200, "headers": {"a": True}}}, "validation failed"),
        ({"delay": {}}, 'property "duration" is required'),
        ({"delay": {"duration": -1}}, "expected -1 to be at least 0"),
        (
            {"delay": {"duration": 1, "vars": [[["arg_x", "nonsense", "y"]]]}},
            "failed to create vars expression: invalid operator 'nonsense'",
        ),
    ],
)
def test_a_wrong_configuration(gateway: Gateway, conf: Any, complaint: str) -> None:
    assert complaint in gateway.complaint({"fault-injection": conf})
