"""What limit-count can be told: numbers with variables, rules, metadata; and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance, describe, limit, quota, statuses


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    return timed_gateway


# variables in the numbers


def test_numbers_with_variables(gateway: Gateway) -> None:
    count, window = "${http_x_count ?? 1}", "${http_x_window ?? 60}"
    path = limit(gateway, count=count, time_window=window)
    assert quota(gateway.ask(path)) == ("1", "0", "60")
    answer = gateway.ask(path, {"X-Count": "5"})
    assert quota(answer)[:2] == ("5", "3"), "the same counter, another limit"
    assert gateway.ask(path).status == 503


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x", "resolved value is not a number"),
        ("0", "resolved value must be a positive number, got: 0"),
        ("-1", "resolved value must be a positive number, got: -1"),
        ("1.5", "resolved value must be an integer, got: 1.5"),
        ("1e17", "resolved value exceeds safe integer range (2^53-1), got: 1e+17"),
    ],
)
@pytest.mark.parametrize("field", ["count", "time_window"])
def test_numbers_that_make_no_sense_let_nobody_in(
    gateway: Gateway, field: str, value: str, reason: str
) -> None:
    path = limit(gateway, **{field: "$http_x_number"})
    before = len(gateway.log)
    assert gateway.ask(path, {"X-Number": value}).status == 500
    assert f"failed to get rate limit rules: {reason}" in gateway.log[before:]


def test_numbers_that_make_no_sense_pass_if_degradation_is_allowed(gateway: Gateway) -> None:
    path = limit(gateway, count="$http_x_number", allow_degradation=True)
    assert gateway.ask(path).status == 200


# rules


RULES = [
    {"count": 1, "time_window": 10, "key": "$http_x_user"},
    {"count": "${http_x_count ?? 2}", "time_window": 60, "key": "$http_x_project"},
]


def test_rules_apply_by_what_the_request_has(gateway: Gateway) -> None:
    path = limit(gateway, rules=RULES)
    assert statuses(gateway, path, 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, path, 2, ("X-User", "b")) == [200, 503]
    assert statuses(gateway, path, 3, ("X-Project", "p")) == [200, 200, 503]


def test_all_rules_that_apply_count(gateway: Gateway) -> None:
    path = limit(gateway, rules=RULES)
    both = ("X-User", "a"), ("X-Project", "p")
    assert statuses(gateway, path, 2, *both) == [200, 503]
    advance(gateway, 10.1)
    assert statuses(gateway, path, 1, *both) == [200]
    advance(gateway, 10.1)
    assert statuses(gateway, path, 1, *both) == [503], "the project's limit"


def test_headers_of_rules_have_their_number(gateway: Gateway) -> None:
    path = limit(gateway, rules=RULES)
    answer = gateway.ask(path, {"X-User": "a", "X-Project": "p"})
    assert quota(answer, "1-") == ("1", "0", "10")
    assert quota(answer, "2-") == ("2", "1", "60")
    assert quota(answer) == (None, None, None)


def test_headers_of_rules_with_a_prefix(gateway: Gateway) -> None:
    rules = [{**RULES[0], "header_prefix": "User"}, RULES[1]]
    answer = gateway.ask(limit(gateway, rules=rules), {"X-User": "a", "X-Project": "p"})
    assert quota(answer, "User-") == ("1", "0", "10")
    assert quota(answer, "2-") == ("2", "1", "60")


def test_rules_with_variables(gateway: Gateway) -> None:
    path = limit(gateway, rules=RULES)
    answer = gateway.ask(path, {"X-Project": "p", "X-Count": "7"})
    assert quota(answer, "2-") == ("7", "6", "60")
    answer = gateway.ask(path, {"X-Project": "p", "X-Count": "0"})
    assert answer.status == 500, "an invalid number does not switch the rule off"


def test_a_rule_with_a_default_key_always_applies(gateway: Gateway) -> None:
    rule = {"count": 1, "time_window": 10, "key": "${http_x_user ?? all}"}
    path = limit(gateway, rules=[rule])
    assert statuses(gateway, path, 2) == [200, 503]
    assert statuses(gateway, path, 1, ("X-User", "a")) == [200]


def test_no_rule_applies(gateway: Gateway) -> None:
    assert gateway.ask(limit(gateway, rules=RULES)).status == 500
    assert "failed to get rate limit rules: nil" in gateway.log
    assert gateway.ask(limit(gateway, rules=RULES, allow_degradation=True)).status == 200


# metadata, variables


def test_names_of_headers_by_metadata(gateway: Gateway) -> None:
    path = limit(gateway)
    gateway.put("plugin_metadata/limit-count", {"id": "limit-count", "limit_header": "X-My-Limit"})
    try:
        answer = gateway.ask(path)
        assert answer.headers.get("X-My-Limit") == "2"
        assert quota(answer) == (None, "1", "60")
    finally:
        gateway.delete("plugin_metadata/limit-count")
    assert quota(gateway.ask(path)) == ("2", "0", "60")


def test_metadata_that_is_refused(gateway: Gateway) -> None:
    value = {"id": "limit-count", "reset_header": 1}
    log = gateway.refused("plugin_metadata/limit-count", value)
    assert 'property "reset_header" validation failed: wrong type' in log


def test_the_state_is_a_variable(gateway: Gateway) -> None:
    function = 'return function(_, ctx) ngx.header["X-Info"] = ctx.var.rate_limiting_info end'
    plugins = {
        "limit-count": describe(count=1),
        "serverless-pre-function": {"phase": "header_filter", "functions": [function]},
    }
    path = gateway.route(plugins)
    infos = [json.loads(str(gateway.ask(path).headers.get("X-Info"))) for _ in range(2)]
    assert infos[0]["rate_limiting_key"].startswith(f"/apisix/routes{path}:")
    assert infos[0]["rate_limiting_key"].endswith(":127.0.0.1")
    numbers = [
        [info[f"rate_limiting_{name}"] for name in ("limit", "remaining", "reset")]
        for info in infos
    ]
    assert numbers == [[1, 0, 60], [1, 0, 60]]


# refused configurations


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"time_window": 60}, "value should match only one schema, but matches none"),
        ({"count": 2}, "value should match only one schema, but matches none"),
        ({"count": -100, "time_window": 60}, 'property "count" validation failed'),
        ({"count": 0, "time_window": 60}, 'property "count" validation failed'),
        ({"count": 1, "time_window": 0}, 'property "time_window" validation failed'),
        (describe(rejected_msg=True), 'property "rejected_msg" validation failed: wrong type'),
        (describe(rejected_msg=""), 'property "rejected_msg" validation failed: string too short'),
        (describe(rejected_code=199), 'property "rejected_code" validation failed'),
        (describe(rejected_code=600), 'property "rejected_code" validation failed'),
        (describe(policy="memory"), 'property "policy" validation failed: matches none'),
        (describe(key_type="x"), 'property "key_type" validation failed: matches none'),
        (describe(window_type="x"), 'property "window_type" validation failed: matches none'),
        (describe(policy="redis"), "then clause did not match"),
        (describe(policy="redis", redis_host="a.b", redis_port=0), "then clause did not match"),
        (describe(policy="redis-cluster", redis_cluster_name="x"), "else clause did not match"),
        (describe(policy="redis-sentinel", redis_sentinels=[]), "else clause did not match"),
        (
            describe(policy="redis", redis_host="a.b", sync_interval=0.05),
            "sync_interval should not be smaller than 0.1",
        ),
        (
            describe(policy="redis", redis_host="a.b", sync_interval=60),
            "sync_interval should be smaller than time_window",
        ),
        (
            describe(rules=RULES),
            "count/time_window and rules cannot be specified at the same time",
        ),
        (
            {"rules": RULES, "group": "g"},
            "group and rules cannot be specified at the same time",
        ),
        ({"rules": [{"count": 1, "time_window": 1}]}, 'property "rules" validation failed'),
        ({"rules": [RULES[0], RULES[0]]}, "duplicate key '$http_x_user' in rules"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"limit-count": conf})
    assert f"failed to check the configuration of plugin limit-count err: {reason}" in log
