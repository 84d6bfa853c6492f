"""What limit-conn may be told: rules, numbers with variables, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.crowd import Crowd, Slow, describe, limit
from support.gateway import Gateway
from support.limits import statuses


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["limit-conn"])


@pytest.fixture
def slow() -> Iterator[Slow]:
    server = Slow()
    yield server
    server.stop()


@pytest.fixture
def crowd(gateway: Gateway, slow: Slow) -> Crowd:
    return Crowd(gateway, slow)


def test_numbers_with_variables(gateway: Gateway, slow: Slow, crowd: Crowd) -> None:
    path = limit(gateway, slow, conn="${http_x_conn ?? 2}", burst="$http_x_burst")
    crowd.enter(path, ("X-Burst", "0"))
    assert statuses(gateway, path, 1, ("X-Conn", "1"), ("X-Burst", "0")) == [503]
    crowd.enter(path, ("X-Burst", "0"))
    assert statuses(gateway, path, 1, ("X-Burst", "0")) == [503]
    crowd.enter(path, ("X-Conn", "3"), ("X-Burst", "0"))
    assert crowd.leave() == [200, 200, 200]


@pytest.mark.parametrize(
    ("conn", "burst", "message"),
    [
        ("a", "0", "resolved value is not a number: a"),
        ("0", "0", "resolved value must be a positive number, got: 0"),
        ("-1", "0", "resolved value must be a positive number, got: -1"),
        ("1.5", "0", "resolved value must be an integer, got: 1.5"),
        ("1", "-1", "resolved value must be a non-negative number, got: -1"),
        ("9007199254740993", "0", "resolved value exceeds safe integer range (2^53-1), got: "),
    ],
)
def test_numbers_that_make_no_sense(gateway: Gateway, conn: str, burst: str, message: str) -> None:
    sent = {"X-Conn": conn, "X-Burst": burst}
    numbers: dict[str, Any] = {"conn": "$http_x_conn", "burst": "$http_x_burst"}
    assert gateway.ask(limit(gateway, **numbers), sent).status == 500
    assert f"failed to get limit conn rules: {message}" in gateway.log
    assert gateway.ask(limit(gateway, **numbers, allow_degradation=True), sent).status == 200


def test_rules(gateway: Gateway, slow: Slow, crowd: Crowd) -> None:
    rules = [
        {"key": "${http_x_user}", "conn": 1, "burst": 0},
        {"key": "${http_x_company}", "conn": "${http_x_conn ?? 2}", "burst": 0},
    ]
    path = limit(gateway, slow, rules=rules)
    company = ("X-Company", "acme")
    crowd.enter(path, ("X-User", "a"), company)
    assert statuses(gateway, path, 1, ("X-User", "a")) == [503]
    crowd.enter(path, ("X-User", "b"), company)
    assert statuses(gateway, path, 1, ("X-User", "c"), company) == [503]
    assert crowd.leave() == [200, 200]


def test_no_rule_applies(gateway: Gateway) -> None:
    rules = [{"key": "${http_x_user}", "conn": 1, "burst": 0}]
    assert gateway.ask(limit(gateway, rules=rules)).status == 500
    assert "failed to get limit conn rules: " in gateway.log
    assert gateway.ask(limit(gateway, rules=rules, allow_degradation=True)).status == 200


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"conn": 0}, 'property "conn" validation failed: value should match only one schema'),
        ({"conn": 1.5}, 'property "conn" validation failed: value should match only one schema'),
        ({"burst": -1}, 'property "burst" validation failed: value should match only one schema'),
        ({"default_conn_delay": 0}, "expected 0 to be greater than 0"),
        ({"default_conn_delay": None}, "value should match only one schema, but matches none"),
        ({"key": None}, "value should match only one schema, but matches none"),
        ({"key_type": "constant"}, 'property "key_type" validation failed: matches none of'),
        ({"only_use_default_delay": 1}, "wrong type: expected boolean, got number"),
        ({"policy": "remote"}, 'property "policy" validation failed: matches none of'),
        ({"rejected_code": 600}, "expected 600 to be at most 599"),
        ({"rejected_msg": ""}, "string too short, expected at least 1, got 0"),
        ({"policy": "redis"}, "then clause did not match"),
        ({"policy": "redis-cluster"}, "else clause did not match"),
        ({"policy": "redis", "redis_host": "h", "key_ttl": "a"}, "then clause did not match"),
    ],
)
def test_configurations_that_are_refused(gateway: Gateway, conf: Any, message: str) -> None:
    whole = {name: value for name, value in describe(**conf).items() if value is not None}
    assert message in gateway.complaint({"limit-conn": whole})


def test_rules_that_are_refused(gateway: Gateway) -> None:
    whole = describe(rules=[{"conn": 1, "burst": 0}])
    assert 'property "key" is required' in gateway.complaint({"limit-conn": whole})
    both = {**describe(), "rules": [{"conn": 1, "burst": 0, "key": "a"}]}
    assert "matches both schemas 1 and 2" in gateway.complaint({"limit-conn": both})
