"""The plugin workflow: the first rule whose case holds acts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance, statuses

from pygw.hub.clock import VirtualClock

IS_FOO = [["arg_name", "==", "foo"]]


@pytest.fixture(scope="module")
def virtual_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    plugins = ["workflow", "limit-count", "limit-conn", "key-auth"]
    return start_gateway(VirtualClock(), plugins=plugins)


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    return timed_gateway


def count(**conf: Any) -> list[Any]:
    """The action limit-count: one request a minute unless it says more."""
    return ["limit-count", {"count": 1, "time_window": 60, "rejected_code": 429, **conf}]


def work(gateway: Gateway, *rules: dict[str, Any], **plugins: Any) -> str:
    return gateway.route({"workflow": {"rules": list(rules)}, **plugins})


def test_a_status_for_a_case(gateway: Gateway) -> None:
    path = work(gateway, {"case": IS_FOO, "actions": [["return", {"code": 403}]]})
    answer = gateway.ask(f"{path}?name=foo")
    assert (answer.status, answer.json()) == (403, {"error_msg": "rejected by workflow"})
    assert gateway.ask(path).status == 200


def test_a_rule_without_a_case_always_holds(gateway: Gateway) -> None:
    path = work(gateway, {"actions": [["return", {"code": 404}]]})
    assert gateway.ask(path).status == 404


@pytest.mark.parametrize(
    ("case", "query", "holds"),
    [
        ([["uri", "~~", "^/r"], ["arg_a", ">", 3]], "a=4", True),
        ([["uri", "~~", "^/r"], ["arg_a", ">", 3]], "a=2", False),
        (["OR", ["arg_a", "==", "1"], ["arg_b", "==", "1"]], "b=1", True),
        (["OR", ["arg_a", "==", "1"], ["arg_b", "==", "1"]], "c=1", False),
        (["!AND", ["arg_a", "==", "1"], ["arg_b", "==", "1"]], "a=1", True),
    ],
)
def test_cases_are_expressions(gateway: Gateway, case: Any, query: str, holds: bool) -> None:
    path = work(gateway, {"case": case, "actions": [["return", {"code": 403}]]})
    assert (gateway.ask(f"{path}?{query}").status == 403) is holds


def test_the_first_rule_that_holds_acts_alone(gateway: Gateway) -> None:
    path = work(
        gateway,
        {"case": IS_FOO, "actions": [["return", {"code": 401}]]},
        {"case": IS_FOO, "actions": [["return", {"code": 402}]]},
        {"actions": [["return", {"code": 403}]]},
    )
    assert gateway.ask(f"{path}?name=foo").status == 401
    assert gateway.ask(path).status == 403


def test_only_the_first_action_of_a_rule_is_run(gateway: Gateway) -> None:
    path = work(gateway, {"actions": [["return", {"code": 401}], ["return", {"code": 402}]]})
    assert gateway.ask(path).status == 401


def test_a_limit_for_a_case(gateway: Gateway) -> None:
    path = work(gateway, {"case": IS_FOO, "actions": [count()]})
    assert statuses(gateway, f"{path}?name=foo", 2) == [200, 429]
    assert statuses(gateway, path, 2) == [200, 200]
    advance(gateway, 61)
    assert statuses(gateway, f"{path}?name=foo", 2) == [200, 429]


def test_each_rule_counts_for_itself(gateway: Gateway) -> None:
    rules = [{"case": [["arg_name", "==", name]], "actions": [count()]} for name in "ab"]
    path = work(gateway, *rules)
    assert statuses(gateway, f"{path}?name=a", 2) == [200, 429]
    assert statuses(gateway, f"{path}?name=b", 2) == [200, 429]


def test_the_plugin_of_an_action_is_left_out_of_the_chain(gateway: Gateway) -> None:
    """Else a request would count twice: here against one of 1."""
    limit = count(count=1)[1]
    path = work(gateway, {"case": IS_FOO, "actions": [count(count=3)]}, **{"limit-count": limit})
    assert statuses(gateway, f"{path}?name=foo", 4) == [200, 200, 200, 429]
    assert statuses(gateway, path, 2) == [200, 429]


def test_a_limit_of_requests_at_the_same_time(gateway: Gateway) -> None:
    conf = {"conn": 1, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr"}
    path = work(gateway, {"actions": [["limit-conn", conf]]})
    assert statuses(gateway, path, 3) == [200, 200, 200], "each leaves when it ends"


def test_a_request_that_ends_before_it_is_looked_at(gateway: Gateway) -> None:
    rule = {"actions": [["return", {"code": 403}]]}
    path = work(gateway, rule, **{"key-auth": {}})
    assert gateway.ask(path).status == 401
    assert "failed to run" not in gateway.log


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, 'property "rules" is required'),
        ({"rules": [{"case": IS_FOO}]}, 'property "actions" is required'),
        ({"rules": [{"case": [], "actions": []}]}, "expect array to have at least 1 items"),
        ({"rules": [{"case": [1], "actions": []}]}, "object matches none of the required"),
        ({"rules": [{"actions": [[]]}]}, "expect array to have at least 1 items"),
        ({"rules": [{"actions": [["fake", {}]]}]}, "unsupported action: fake"),
        (
            {"rules": [{"actions": [["return", {}]]}]},
            "failed to validate the 'return' action: property \"code\" is required",
        ),
        (
            {"rules": [{"actions": [["return", {"code": 99}]]}]},
            "failed to validate the 'return' action: property \"code\" validation failed: "
            "expected 99 to be at least 100",
        ),
        (
            {"rules": [{"actions": [["return", {"code": "403"}]]}]},
            "failed to validate the 'return' action: property \"code\" validation failed: "
            "wrong type: expected integer, got string",
        ),
        (
            {"rules": [{"actions": [["limit-count", {"count": 1}]]}]},
            "failed to validate the 'limit-count' action: ",
        ),
        (
            {"rules": [{"actions": [count(group="g")]}]},
            "failed to validate the 'limit-count' action: group is not supported",
        ),
    ],
)
def test_configurations_that_are_refused(gateway: Gateway, conf: Any, message: str) -> None:
    assert message in gateway.complaint({"workflow": conf})


def test_a_case_that_is_no_expression(gateway: Gateway, plugin_source: Path | None) -> None:
    """APISIX's own plugin takes it, and fails when a request comes."""
    conf = {"rules": [{"case": [["arg_a", "nonsense", "b"]], "actions": []}]}
    if plugin_source:
        assert gateway.route({"workflow": conf})
    else:
        log = gateway.complaint({"workflow": conf})
        assert "failed to validate the 'case' expression: " in log


def test_an_action_without_arguments(gateway: Gateway, plugin_source: Path | None) -> None:
    """APISIX's own plugin stumbles over it."""
    log = gateway.complaint({"workflow": {"rules": [{"actions": [["return"]]}]}})
    ours = "failed to validate the 'return' action: property \"code\" is required"
    assert ("attempt to index" if plugin_source else ours) in log
