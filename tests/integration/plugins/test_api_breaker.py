"""The plugin api-breaker: after failures in a row the upstream is left alone for a while."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer

HOSTS = (f"h{number}.com" for number in itertools.count())


class Circuit:
    """A route with the plugin, asked under a host of its own, as that names what is counted."""

    def __init__(self, gateway: Gateway, **conf: Any) -> None:
        self.gateway, self.host = gateway, next(HOSTS)
        whole = {"break_response_code": 502, "unhealthy": {"failures": 3}, **conf}
        self.path = gateway.route({"api-breaker": whole})

    def ask(self, status: int = 200) -> Answer:
        """Ask once; the upstream, if it is asked, answers with a status."""
        self.gateway.upstream.reply(status)
        answer = self.gateway.ask(self.path, host=self.host)
        self.gateway.upstream.reply(200, "hello")
        return answer

    def statuses(self, *upstream: int) -> list[int]:
        return [self.ask(status).status for status in upstream]


@pytest.fixture(scope="module")
def virtual_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["api-breaker"])


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    return timed_gateway


def test_a_circuit_breaks_after_failures_and_tries_again(gateway: Gateway) -> None:
    circuit = Circuit(gateway)
    assert circuit.statuses(500, 500, 500, 200) == [500, 500, 500, 502]
    advance(gateway, 3)
    assert circuit.ask().status == 200


def test_the_upstream_is_not_asked_meanwhile(gateway: Gateway) -> None:
    circuit = Circuit(gateway)
    circuit.statuses(500, 500, 500)
    asked = len(gateway.upstream.requests)
    circuit.statuses(200, 200)
    assert len(gateway.upstream.requests) == asked


def test_the_break_doubles_with_each_row_of_failures(gateway: Gateway) -> None:
    circuit = Circuit(gateway)
    for seconds in (2, 4, 8):
        assert circuit.statuses(500, 500, 500, 200)[-1] == 502
        advance(gateway, seconds)
        assert circuit.ask().status == 502
        advance(gateway, 1)
    assert circuit.ask().status == 200


def test_the_break_is_no_longer_than_the_maximum(gateway: Gateway) -> None:
    circuit = Circuit(gateway, max_breaker_sec=3, unhealthy={"failures": 1})
    for _ in range(4):
        assert circuit.statuses(500, 200) == [500, 502]
        advance(gateway, 4)
    assert circuit.ask().status == 200


def test_successes_in_a_row_make_it_whole(gateway: Gateway) -> None:
    circuit = Circuit(gateway, healthy={"successes": 2})
    circuit.statuses(500, 500, 200, 200)
    assert circuit.statuses(500, 500, 200) == [500, 500, 200], "counted anew"


def test_too_few_successes_do_not(gateway: Gateway) -> None:
    circuit = Circuit(gateway, healthy={"successes": 3})
    assert circuit.statuses(500, 500, 200, 200, 500, 200) == [500, 500, 200, 200, 500, 502]


def test_a_failure_ends_a_row_of_successes(gateway: Gateway) -> None:
    circuit = Circuit(gateway, unhealthy={"failures": 4}, healthy={"successes": 2})
    circuit.statuses(500, 200, 500, 200)
    assert circuit.statuses(500, 500, 200) == [500, 500, 502]


def test_only_named_statuses_count(gateway: Gateway) -> None:
    conf = {
        "unhealthy": {"http_statuses": [503, 504], "failures": 2},
        "healthy": {"http_statuses": [201], "successes": 1},
    }
    circuit = Circuit(gateway, **conf)
    assert circuit.statuses(500, 500, 500) == [500, 500, 500]
    circuit.statuses(503, 200)
    assert circuit.statuses(504, 200) == [504, 502]
    circuit = Circuit(gateway, **conf)
    circuit.statuses(503, 201)
    assert circuit.statuses(504, 200) == [504, 200]


def test_defaults(gateway: Gateway) -> None:
    circuit = Circuit(gateway, unhealthy={}, healthy={})
    assert circuit.statuses(500, 500, 200, 200) == [500, 500, 200, 200]
    assert circuit.statuses(500, 500) == [500, 502]


def test_hosts_and_paths_break_apart(gateway: Gateway) -> None:
    circuit = Circuit(gateway, unhealthy={"failures": 1})
    circuit.ask(500)
    assert circuit.ask().status == 502
    assert gateway.ask(circuit.path, host="elsewhere.com").status == 200
    assert gateway.ask(f"{circuit.path}/other", host=circuit.host).status == 200


def test_body_and_headers_of_the_break(gateway: Gateway) -> None:
    circuit = Circuit(
        gateway,
        break_response_code=599,
        break_response_body='{"message": "come back later"}',
        break_response_headers=[
            {"key": "Content-Type", "value": "application/json+v1"},
            {"key": "X-Client", "value": "$remote_addr"},
        ],
        unhealthy={"failures": 1},
    )
    circuit.ask(500)
    answer = circuit.ask()
    assert (answer.status, answer.json()) == (599, {"message": "come back later"})
    assert answer.headers.get("Content-Type") == "application/json+v1"
    assert answer.headers.get("X-Client") == "127.0.0.1"


def test_headers_need_a_body(gateway: Gateway) -> None:
    headers = [{"key": "X-Client", "value": "a"}]
    circuit = Circuit(gateway, break_response_headers=headers, unhealthy={"failures": 1})
    circuit.ask(500)
    assert circuit.ask().headers.get("X-Client") is None


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, 'property "break_response_code" is required'),
        ({"break_response_code": 199}, "expected 199 to be at least 200"),
        ({"break_response_code": 600}, "expected 600 to be at most 599"),
        ({"max_breaker_sec": 2}, 'property "max_breaker_sec" validation failed'),
        ({"unhealthy": {"http_statuses": [499]}}, "expected 499 to be at least 500"),
        ({"unhealthy": {"http_statuses": [600]}}, "expected 600 to be at most 599"),
        ({"unhealthy": {"http_statuses": []}}, "expect array to have at least 1 items"),
        ({"unhealthy": {"http_statuses": [500, 500]}}, "expected unique items but items 1 and 2"),
        ({"unhealthy": {"failures": 0}}, "expected 0 to be at least 1"),
        ({"healthy": {"http_statuses": [500]}}, "expected 500 to be at most 499"),
        ({"healthy": {"http_statuses": [199]}}, "expected 199 to be at least 200"),
        ({"healthy": {"successes": 0}}, "expected 0 to be at least 1"),
        ({"break_response_body": 1}, "wrong type: expected string, got number"),
        ({"break_response_headers": [{"key": "a"}]}, 'property "value" is required'),
        ({"break_response_headers": [{"key": "", "value": "a"}]}, "string too short"),
    ],
)
def test_configurations_that_are_refused(gateway: Gateway, conf: Any, message: str) -> None:
    whole = {"break_response_code": 502, **conf} if conf else {}
    assert message in gateway.complaint({"api-breaker": whole})
