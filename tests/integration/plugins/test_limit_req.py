"""The plugin limit-req: requests above the rate wait, those above the burst are rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import PATIENCE, Gateway
from support.limits import advance, begin, statuses, still_waits
from support.redis_server import Redis

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def virtual_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["limit-req", "key-auth", "proxy-rewrite"])


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    return timed_gateway


@pytest.fixture(params=["local", "redis", "redis-cluster"])
def policy(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the buckets are."""
    if request.param == "local":
        return {"policy": "local"}
    if request.param == "redis":
        server = request.getfixturevalue("redis")
        server("flushall")
        return in_redis(server)
    servers = request.getfixturevalue("cluster")
    return {
        "policy": "redis-cluster",
        "redis_cluster_nodes": [f"127.0.0.1:{server.port}" for server in servers],
        "redis_cluster_name": f"c{servers[0].port}",
        "redis_password": "secret",
    }


def in_redis(server: Redis) -> dict[str, Any]:
    return {"policy": "redis", "redis_host": "127.0.0.1", "redis_port": server.port}


def describe(**conf: Any) -> dict[str, Any]:
    """A configuration: one request a second unless it says more."""
    return {"rate": 1, "burst": 0, "key": "remote_addr", **conf}


def limit(gateway: Gateway, **conf: Any) -> str:
    return gateway.route({"limit-req": describe(**conf)})


def test_the_rate(gateway: Gateway, policy: dict[str, Any]) -> None:
    path = limit(gateway, **policy)
    assert statuses(gateway, path, 3) == [200, 503, 503]
    advance(gateway, 0.9)
    assert statuses(gateway, path, 1) == [503]
    advance(gateway, 0.2)
    assert statuses(gateway, path, 2) == [200, 503]


def test_a_burst_without_delay(gateway: Gateway, policy: dict[str, Any]) -> None:
    path = limit(gateway, rate=2, burst=2, nodelay=True, **policy)
    assert statuses(gateway, path, 4) == [200, 200, 200, 503]
    advance(gateway, 0.5)
    assert statuses(gateway, path, 2) == [200, 503]


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_burst_waits(gateway: Gateway, redis: Redis, is_remote: bool) -> None:
    def excess_is(excess: int) -> None:
        if is_remote:
            (key,) = redis("keys", "*")
            gateway.until(lambda: redis("hget", key, "excess") == str(excess))

    redis("flushall")
    path = limit(gateway, rate=2, burst=2, **(in_redis(redis) if is_remote else {}))
    assert gateway.ask(path).status == 200
    first = begin(gateway, path)
    excess_is(1000)
    second = begin(gateway, path)
    excess_is(2000)
    still_waits(gateway, second)
    advance(gateway, 0.4)
    assert still_waits(gateway, first)
    advance(gateway, 0.2)
    assert first.get(timeout=PATIENCE).status == 200
    assert still_waits(gateway, second)
    advance(gateway, 0.5)
    assert second.get(timeout=PATIENCE).status == 200


def test_fractions(gateway: Gateway, policy: dict[str, Any]) -> None:
    path = limit(gateway, rate=0.1, burst=0.5, nodelay=True, **policy)
    assert statuses(gateway, path, 2) == [200, 503]
    advance(gateway, 5)
    assert statuses(gateway, path, 2) == [200, 503]


def test_clients_are_told_apart(gateway: Gateway, policy: dict[str, Any]) -> None:
    path = limit(gateway, key="http_x_user", **policy)
    assert statuses(gateway, path, 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, path, 2, ("X-User", "b")) == [200, 503]


def test_rejected_code_and_message(gateway: Gateway, policy: dict[str, Any]) -> None:
    path = limit(gateway, rejected_code=429, rejected_msg="Slow down.", **policy)
    assert gateway.ask(path).status == 200
    answer = gateway.ask(path)
    assert (answer.status, answer.json()) == (429, {"error_msg": "Slow down."})


def test_a_rejected_request_does_not_reach_the_upstream(gateway: Gateway) -> None:
    path = limit(gateway)
    asked = len(gateway.upstream.requests)
    statuses(gateway, path, 3)
    assert len(gateway.upstream.requests) == asked + 1


# keys


def test_key_of_a_combination_of_variables(gateway: Gateway) -> None:
    path = limit(gateway, key="$http_x_user $arg_plan", key_type="var_combination")
    assert statuses(gateway, f"{path}?plan=1", 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, f"{path}?plan=2", 2, ("X-User", "a")) == [200, 503]
    assert statuses(gateway, path, 2) == [200, 503], "nothing of it: by address"


def test_a_request_without_the_key_counts_for_its_address(gateway: Gateway) -> None:
    path = limit(gateway, key="http_x_user")
    assert statuses(gateway, path, 2) == [200, 503]
    assert statuses(gateway, path, 1, ("X-User", "127.0.0.1")) == [503]


def test_key_of_the_consumer(gateway: Gateway) -> None:
    for name in ("one", "two"):
        plugins = {"key-auth": {"key": name}}
        gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins})
    path = gateway.route({"key-auth": {}, "limit-req": describe(key="consumer_name")})
    assert statuses(gateway, path, 2, ("apikey", "one")) == [200, 503]
    assert statuses(gateway, path, 2, ("apikey", "two")) == [200, 503]


def test_a_limit_that_a_consumer_brings_along(gateway: Gateway) -> None:
    plugins = {"key-auth": {"key": "three"}, "limit-req": describe()}
    gateway.put("consumers/three", {"username": "three", "plugins": plugins})
    paths = [gateway.route({"key-auth": {}}) for _ in range(2)]
    assert statuses(gateway, paths[0], 1, ("apikey", "three")) == [200]
    assert statuses(gateway, paths[1], 1, ("apikey", "three")) == [503], "one for all routes"


def test_each_route_has_its_own_bucket(gateway: Gateway) -> None:
    for path in (limit(gateway), limit(gateway)):
        assert statuses(gateway, path, 2) == [200, 503]


def test_a_global_rule_counts_for_all_routes(gateway: Gateway) -> None:
    paths = [gateway.route({}) for _ in range(2)]
    gateway.put("global_rules/g1", {"id": "g1", "plugins": {"limit-req": describe()}})
    try:
        assert statuses(gateway, paths[0], 1) + statuses(gateway, paths[1], 1) == [200, 503]
    finally:
        gateway.delete("global_rules/g1")


def test_changing_the_limit_begins_anew_and_changing_other_plugins_does_not(
    gateway: Gateway,
) -> None:
    path = limit(gateway)
    assert statuses(gateway, path, 2) == [200, 503]
    plugins = {"limit-req": describe(), "proxy-rewrite": {"host": "x.com"}}
    gateway.put(f"routes{path}", gateway.describe(path, plugins))
    assert statuses(gateway, path, 1) == [503]
    plugins = {"limit-req": describe(rejected_code=429)}
    gateway.put(f"routes{path}", gateway.describe(path, plugins))
    assert statuses(gateway, path, 2) == [200, 429]


# redis


def test_the_bucket_has_the_name_and_content_that_apisix_gives_it(
    gateway: Gateway, redis: Redis
) -> None:
    redis("flushall")
    path = limit(gateway, rate=10, burst=20, nodelay=True, **in_redis(redis))
    statuses(gateway, path, 2)
    (key,) = redis("keys", "*")
    assert key.startswith(f"limit_req:/apisix/routes{path}:")
    assert key.endswith(":127.0.0.1")
    assert redis("hget", key, "excess") == "1000"
    assert float(redis("hget", key, "last")) == pytest.approx(gateway.clock.now * 1000)
    assert 0 < redis("ttl", key) <= 3


def test_user_and_password(gateway: Gateway, redis: Redis) -> None:
    redis("flushall")
    known = {"redis_username": "app", "redis_password": "secret"}
    path = limit(gateway, **in_redis(redis), **known)
    assert statuses(gateway, path, 2) == [200, 503]
    path = limit(gateway, **in_redis(redis), redis_username="app", redis_password="wrong")
    assert gateway.ask(path).status == 500
    assert "failed to limit req: WRONGPASS" in gateway.log


def test_nobody_listens(gateway: Gateway, redis: Redis) -> None:
    conf = {**in_redis(redis), "redis_port": 1}
    assert gateway.ask(limit(gateway, **conf)).status == 500
    assert "failed to limit req: connection refused" in gateway.log
    assert gateway.ask(limit(gateway, **conf, allow_degradation=True)).status == 200


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"rate": 0}, 'property "rate" validation failed: expected 0 to be greater than 0'),
        ({"rate": "1"}, "wrong type: expected number, got string"),
        ({"burst": -1}, 'property "burst" validation failed: expected -1 to be at least 0'),
        ({"rate": None}, 'property "rate" is required'),
        ({"burst": None}, 'property "burst" is required'),
        ({"key": None}, 'property "key" is required'),
        ({"key_type": "constant"}, 'property "key_type" validation failed: matches none of'),
        ({"policy": "remote"}, 'property "policy" validation failed: matches none of'),
        ({"rejected_code": 199}, "expected 199 to be at least 200"),
        ({"rejected_msg": ""}, "string too short, expected at least 1, got 0"),
        ({"nodelay": 1}, "wrong type: expected boolean, got number"),
        ({"policy": "redis"}, "then clause did not match"),
        ({"policy": "redis-cluster"}, "else clause did not match"),
    ],
)
def test_configurations_that_are_refused(gateway: Gateway, conf: Any, message: str) -> None:
    whole = {name: value for name, value in describe(**conf).items() if value is not None}
    assert message in gateway.complaint({"limit-req": whole})
