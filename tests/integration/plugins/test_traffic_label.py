"""The plugin traffic-label: what upstreams learn of which requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

NAME = "traffic-label"
SERVER = "X-Server-Id"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=[NAME, "proxy-rewrite"])


def label(value: Any, **more: Any) -> dict[str, Any]:
    """An action."""
    return {"set_headers": {SERVER: value}, **more}


def route(gateway: Gateway, *rules: dict[str, Any]) -> str:
    return gateway.route({NAME: {"rules": [*rules]}})


def labelled(
    gateway: Gateway, target: str, headers: dict[str, str] | None = None, name: str = SERVER
) -> str | None:
    """The label that the upstream gets with a request."""
    assert gateway.ask(target, headers).status == 200
    return gateway.upstream.last.headers.get(name)


def test_by_conditions(gateway: Gateway) -> None:
    """The public documentation's first example."""
    path = route(
        gateway,
        {"match": [["arg_version", "==", "v1"]], "actions": [label("100")]},
        {"match": [["arg_version", "==", "v2"]], "actions": [label("200")]},
    )
    assert labelled(gateway, f"{path}?version=v1") == "100"
    assert labelled(gateway, f"{path}?version=v2") == "200"
    assert labelled(gateway, path) is None


def test_the_first_rule_wins(gateway: Gateway) -> None:
    first = {"match": [["arg_a", "==", "1"]], "actions": [{"set_headers": {"X-First": "1"}}]}
    path = route(gateway, first, {"actions": [label("rest")]})
    assert labelled(gateway, f"{path}?a=1") is None
    assert gateway.upstream.last.headers.get("X-First") == "1"
    assert labelled(gateway, f"{path}?a=2") == "rest"


def test_without_conditions_all(gateway: Gateway) -> None:
    assert labelled(gateway, route(gateway, {"actions": [label("all")]})) == "all"


def test_a_header_of_the_client_gives_way(gateway: Gateway) -> None:
    path = route(gateway, {"match": [["arg_a", "==", "1"]], "actions": [label("ours")]})
    assert labelled(gateway, f"{path}?a=1", {SERVER: "theirs"}) == "ours"
    assert labelled(gateway, path, {SERVER: "theirs"}) == "theirs"


@pytest.mark.parametrize(
    ("match", "query", "holds"),
    [
        (["OR", ["arg_a", "==", "1"], ["arg_b", "==", "1"]], "b=1", True),
        (["OR", ["arg_a", "==", "1"], ["arg_b", "==", "1"]], "b=2", False),
        (["AND", ["arg_a", "==", "1"], ["arg_b", "==", "1"]], "b=1", False),
        (["AND", ["arg_a", "==", "1"], ["arg_b", "==", "1"]], "a=1&b=1", True),
        ([["arg_a", "==", "1"], ["arg_b", "==", "1"]], "a=1", False),
        ([["remote_addr", "ipmatch", ["127.0.0.0/8"]]], "", True),
        ([["remote_addr", "ipmatch", ["10.0.0.0/8"]]], "", False),
        (["AND", ["arg_a", "==", "1"], ["OR", ["arg_b", "==", "1"], ["uri", "~~", "x"]]], "a=1", 0),
        ([["arg_a", "!", "in", ["1", "2"]]], "a=3", True),
    ],
)
def test_expressions(gateway: Gateway, match: list[Any], query: str, holds: bool) -> None:
    path = route(gateway, {"match": match, "actions": [label("yes")]})
    assert labelled(gateway, f"{path}?{query}") == ("yes" if holds else None)


def test_many_headers_and_variables(gateway: Gateway) -> None:
    headers = {"X-Ip": "of $remote_addr", "X-Number": 12, "X-Arg": "${arg_a}"}
    path = route(gateway, {"actions": [{"set_headers": headers}]})
    assert labelled(gateway, f"{path}?a=1", name="X-Ip") == "of 127.0.0.1"
    seen = gateway.upstream.last.headers
    assert (seen.get("X-Number"), seen.get("X-Arg")) == ("12", "1")


def test_weights(gateway: Gateway) -> None:
    """The public documentation's second example: exactly these shares of ten requests."""
    actions = [
        label("100", weight=3),
        {"set_headers": {"X-API-Version": "v2"}, "weight": 2},
        {"weight": 5},
    ]
    path = route(gateway, {"match": [["uri", "~~", "^/"]], "actions": actions})
    seen: Counter[tuple[str | None, str | None]] = Counter()
    for _ in range(20):
        one = labelled(gateway, path)
        seen[one, gateway.upstream.last.headers.get("X-API-Version")] += 1
    assert seen == {("100", None): 6, (None, "v2"): 4, (None, None): 10}


def test_a_weight_is_one_by_default(gateway: Gateway) -> None:
    path = route(gateway, {"actions": [label("a"), label("b", weight=2), {}]})
    assert Counter(labelled(gateway, path) for _ in range(12)) == {"a": 3, "b": 6, None: 3}


def test_a_new_configuration_counts_at_once(gateway: Gateway) -> None:
    path = route(gateway, {"actions": [label("old")]})
    assert labelled(gateway, path) == "old"
    conf = {NAME: {"rules": [{"actions": [label("new")]}]}}
    gateway.put(f"routes{path}", gateway.describe(path, conf))
    assert labelled(gateway, path) == "new"


def test_conditions_see_what_proxy_rewrite_made(gateway: Gateway) -> None:
    rules = {"rules": [{"match": [["http_x_plan", "==", "gold"]], "actions": [label("fast")]}]}
    rewrite = {"headers": {"set": {"X-Plan": "gold", SERVER: "slow"}}}
    assert labelled(gateway, gateway.route({NAME: rules, "proxy-rewrite": rewrite})) == "fast"


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, 'property "rules" is required'),
        ({"rules": []}, "expect array to have at least 1 items"),
        ({"rules": [{}]}, 'property "actions" is required'),
        ({"rules": [{"actions": []}]}, 'property "actions" validation failed'),
        ({"rules": [{"actions": [{}], "match": []}]}, 'property "match" validation failed'),
        ({"rules": [{"actions": [{}], "match": [1]}]}, 'property "match" validation failed'),
        ({"rules": [{"actions": [{"weight": 0}]}]}, "expected 0 to be at least 1"),
        ({"rules": [{"actions": [{"set_headers": {}}]}]}, 'property "set_headers" validation'),
        ({"rules": [{"actions": [{"set_headers": 1}]}]}, 'property "set_headers" validation'),
        (
            {"rules": [{"actions": [{"add_headers": {"X-A": "1"}}]}]},
            "not supported action: add_headers",
        ),
        (
            {"rules": [{"actions": [{"set_headers": {"X-A": True}}]}]},
            "failed to validate the 'set_headers' action: ",
        ),
        (
            {"rules": [{"match": [["uri", "===", "/"]], "actions": [{}]}]},
            'failed to validate the \'match\' expression: [["uri","===","/"]] err: '
            "invalid operator '==='",
        ),
        (
            {"rules": [{"match": ["AND", ["uri", "==", "/"]], "actions": [{}]}]},
            "failed to validate the 'match' expression: ",
        ),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({NAME: conf})
    assert f"check the configuration of plugin {NAME} err: " in log
    assert reason in log
