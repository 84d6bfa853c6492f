"""The plugin limit-count as clients meet it, counting on this machine; time is virtual."""

from __future__ import annotations

import pytest
from support.gateway import Gateway
from support.limits import advance, describe, limit, quota, statuses


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    return timed_gateway


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
