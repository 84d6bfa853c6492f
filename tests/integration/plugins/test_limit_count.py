"""The plugin limit-count as clients meet it, counting on this machine; time is virtual."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Answer, Gateway

from pygw.hub.clock import VirtualClock

START = 1_700_000_000.0  # seconds; windows of 10 begin there


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(START))


@pytest.fixture(autouse=True)
def on_a_round_second(gateway: Gateway) -> None:
    """Each test begins where windows of 10 and of 60 seconds begin."""
    advance(gateway, -gateway.clock.now % 600)


def advance(gateway: Gateway, seconds: float) -> None:
    assert isinstance(gateway.clock, VirtualClock)
    gateway.clock.advance(seconds)


def limit(gateway: Gateway, **conf: Any) -> str:
    """The path of a route with this configuration; two requests a minute unless it says more."""
    return gateway.route({"limit-count": conf if "rules" in conf else describe(**conf)})


def describe(**conf: Any) -> dict[str, Any]:
    return {"count": 2, "time_window": 60, **conf}


def statuses(gateway: Gateway, path: str, count: int, *sent: tuple[str, str]) -> list[int]:
    return [gateway.ask(path, list(sent)).status for _ in range(count)]


def quota(answer: Answer, infix: str = "") -> tuple[str | None, ...]:
    """What the headers say of limit, remaining and reset."""
    names = ("Limit", "Remaining", "Reset")
    return tuple(answer.headers.get(f"X-{infix}RateLimit-{name}") for name in names)


# fixed windows


def test_a_window_and_the_next(gateway: Gateway) -> None:
    path = limit(gateway)
    assert statuses(gateway, path, 4) == [200, 200, 503, 503]
    advance(gateway, 59.9)
    assert statuses(gateway, path, 1) == [503]
    advance(gateway, 0.2)
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_the_window_begins_with_the_first_request(gateway: Gateway) -> None:
    path = limit(gateway)
    advance(gateway, 50)
    assert statuses(gateway, path, 1) == [200]
    advance(gateway, 55)
    assert statuses(gateway, path, 2) == [200, 503]
    advance(gateway, 6)
    assert statuses(gateway, path, 1) == [200]


def test_headers_tell_the_quota(gateway: Gateway) -> None:
    path = limit(gateway)
    assert quota(gateway.ask(path)) == ("2", "1", "60")
    advance(gateway, 10.25)
    assert quota(gateway.ask(path)) == ("2", "0", "49.75")
    advance(gateway, 20)
    rejected = gateway.ask(path)
    assert rejected.status == 503
    assert quota(rejected) == ("2", "0", "29.75")


def test_headers_can_be_left_out(gateway: Gateway) -> None:
    path = limit(gateway, count=1, show_limit_quota_header=False)
    for status in (200, 503):
        answer = gateway.ask(path)
        assert answer.status == status
        assert quota(answer) == (None, None, None)


def test_a_rejected_request_does_not_reach_the_upstream(gateway: Gateway) -> None:
    path = limit(gateway, count=1)
    asked = len(gateway.upstream.requests)
    statuses(gateway, path, 3)
    assert len(gateway.upstream.requests) == asked + 1


def test_rejected_code_and_message(gateway: Gateway) -> None:
    path = limit(gateway, count=1, rejected_code=429, rejected_msg="Slow down.")
    assert gateway.ask(path).status == 200
    answer = gateway.ask(path)
    assert (answer.status, answer.text) == (429, '{"error_msg":"Slow down."}\n')


# keys


def test_clients_are_told_apart_by_their_address(gateway: Gateway) -> None:
    path = limit(gateway, count=1, key="remote_addr")
    assert statuses(gateway, path, 2) == [200, 503]


def test_key_of_a_variable(gateway: Gateway) -> None:
    path = limit(gateway, count=1, key="http_x_user")
    assert statuses(gateway, path, 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, path, 2, ("X-User", "b")) == [200, 503]


def test_a_request_without_the_key_counts_for_its_address(gateway: Gateway) -> None:
    path = limit(gateway, count=1, key="http_x_user")
    assert statuses(gateway, path, 2) == [200, 503]
    assert statuses(gateway, path, 1, ("X-User", "a")) == [200]
    assert statuses(gateway, path, 1, ("X-User", "127.0.0.1")) == [503]


def test_key_of_a_combination_of_variables(gateway: Gateway) -> None:
    conf = {"key": "$http_x_user $arg_plan", "key_type": "var_combination", "count": 1}
    path = limit(gateway, **conf)
    assert statuses(gateway, f"{path}?plan=1", 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, f"{path}?plan=2", 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, path, 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, path, 2) == [200, 503], "nothing of it: by address"


def test_key_of_a_constant(gateway: Gateway) -> None:
    path = limit(gateway, count=1, key="http_x_user", key_type="constant")
    assert statuses(gateway, path, 1, ("X-User", "a")) == [200]
    assert statuses(gateway, path, 1, ("X-User", "b")) == [503]


def test_key_of_the_consumer(gateway: Gateway) -> None:
    for name in ("one", "two"):
        plugins = {"key-auth": {"key": name}}
        gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins})
    conf = describe(count=1, key="consumer_name")
    path = gateway.route({"key-auth": {}, "limit-count": conf})
    assert statuses(gateway, path, 2, ("apikey", "one")) == [200, 503]
    assert statuses(gateway, path, 2, ("apikey", "two")) == [200, 503]


def test_a_limit_that_a_consumer_brings_along(gateway: Gateway) -> None:
    plugins = {"key-auth": {"key": "three"}, "limit-count": describe(count=1)}
    gateway.put("consumers/three", {"username": "three", "plugins": plugins})
    paths = [gateway.route({"key-auth": {}}) for _ in range(2)]
    assert statuses(gateway, paths[0], 1, ("apikey", "three")) == [200]
    assert statuses(gateway, paths[1], 1, ("apikey", "three")) == [503], "one for all routes"


# counters


def test_each_route_has_its_own_counter(gateway: Gateway) -> None:
    for path in (limit(gateway, count=1), limit(gateway, count=1)):
        assert statuses(gateway, path, 2) == [200, 503]


def test_routes_of_a_service_share_its_counter(gateway: Gateway) -> None:
    gateway.put("services/s1", {"plugins": {"limit-count": describe(count=2)}})
    paths = [gateway.route({}, service_id="s1") for _ in range(2)]
    assert statuses(gateway, paths[0], 1) + statuses(gateway, paths[1], 2) == [200, 200, 503]


def test_a_global_rule_counts_for_all_routes(gateway: Gateway) -> None:
    paths = [gateway.route({}) for _ in range(2)]
    gateway.put("global_rules/g1", {"id": "g1", "plugins": {"limit-count": describe(count=2)}})
    try:
        assert statuses(gateway, paths[0], 1) + statuses(gateway, paths[1], 2) == [200, 200, 503]
    finally:
        gateway.delete("global_rules/g1")


def test_routes_of_a_group_share_a_counter(gateway: Gateway) -> None:
    paths = [limit(gateway, count=2, group="g1") for _ in range(2)]
    assert statuses(gateway, paths[0], 1) + statuses(gateway, paths[1], 2) == [200, 200, 503]


def test_a_group_has_one_configuration(gateway: Gateway) -> None:
    limit(gateway, count=2, group="g2")
    log = gateway.complaint({"limit-count": describe(count=3, group="g2")})
    assert "group conf mismatched" in log
    assert "previous limit-count group g2 conf: " in log
    assert "current limit-count group g2 conf: " in log


def test_changing_the_limit_begins_anew_and_changing_other_plugins_does_not(
    gateway: Gateway,
) -> None:
    path = limit(gateway, count=1)
    assert statuses(gateway, path, 2) == [200, 503]
    plugins = {"limit-count": describe(count=1), "proxy-rewrite": {"host": "x.com"}}
    gateway.put(f"routes{path}", gateway.describe(path, plugins))
    assert statuses(gateway, path, 1) == [503]
    gateway.put(f"routes{path}", gateway.describe(path, {"limit-count": describe(count=2)}))
    assert statuses(gateway, path, 3) == [200, 200, 503]


# sliding windows


def test_a_sliding_window_remembers_the_last_one(gateway: Gateway) -> None:
    path = limit(gateway, count=4, time_window=10, window_type="sliding")
    assert statuses(gateway, path, 5) == [200, 200, 200, 200, 503]
    advance(gateway, 15)  # half of the last window is still in sight: two requests
    assert statuses(gateway, path, 3) == [200, 200, 503]
    advance(gateway, 20)
    assert statuses(gateway, path, 5) == [200, 200, 200, 200, 503]


def test_headers_of_a_sliding_window(gateway: Gateway) -> None:
    path = limit(gateway, count=4, time_window=10, window_type="sliding")
    assert quota(gateway.ask(path)) == ("4", "3", "10")
    advance(gateway, 2.5)
    assert [quota(gateway.ask(path))[1:] for _ in range(3)] == [
        ("2", "7.5"),
        ("1", "7.5"),
        ("0", "7.5"),
    ]
    assert quota(gateway.ask(path)) == ("4", "0", "7.5")
    advance(gateway, 10)  # of the last window's four, three are in sight
    assert quota(gateway.ask(path)) == ("4", "0", "7.5")
    rejected = gateway.ask(path)
    assert (rejected.status, quota(rejected)) == (503, ("4", "0", "0"))
    advance(gateway, 0.5)
    assert gateway.ask(path).status == 200


def test_rejected_requests_do_not_count_in_a_sliding_window(gateway: Gateway) -> None:
    path = limit(gateway, count=1, time_window=10, window_type="sliding")
    assert statuses(gateway, path, 5) == [200, 503, 503, 503, 503]
    advance(gateway, 10.1)
    assert statuses(gateway, path, 1) == [200]


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
