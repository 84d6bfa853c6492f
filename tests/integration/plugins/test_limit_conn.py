"""The plugin limit-conn: so many requests at the same time, some more that wait, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.crowd import Crowd, Slow, describe, in_redis, limit
from support.gateway import PATIENCE, Gateway
from support.limits import advance, begin, statuses, still_waits
from support.redis_server import Redis

from pygw.hub.clock import VirtualClock


@pytest.fixture(scope="module")
def upstream_that_waits() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.stop()


@pytest.fixture
def slow(upstream_that_waits: Slow) -> Iterator[Slow]:
    upstream_that_waits.go_on.clear()
    yield upstream_that_waits
    upstream_that_waits.go_on.set()


@pytest.fixture(scope="module")
def virtual_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    plugins = ["limit-conn", "workflow", "key-auth", "proxy-rewrite"]
    return start_gateway(VirtualClock(), plugins=plugins)


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    return timed_gateway


@pytest.fixture(params=["local", "redis", "redis-cluster"])
def policy(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where places are counted."""
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


@pytest.fixture
def crowd(gateway: Gateway, slow: Slow) -> Crowd:
    return Crowd(gateway, slow)


def test_so_many_and_no_more(
    gateway: Gateway, slow: Slow, crowd: Crowd, policy: dict[str, Any]
) -> None:
    path = limit(gateway, slow, conn=2, **policy)
    crowd.enter(path)
    crowd.enter(path)
    assert statuses(gateway, path, 2) == [503, 503]
    assert crowd.leave() == [200, 200]


def test_who_leaves_makes_room(
    gateway: Gateway, slow: Slow, crowd: Crowd, policy: dict[str, Any]
) -> None:
    path = limit(gateway, slow, **policy)
    crowd.enter(path)
    assert crowd.leave() == [200]
    slow.go_on.set()
    gateway.until(lambda: gateway.ask(path).status == 200)  # redis hears of it a moment later


def test_a_burst_waits(gateway: Gateway, slow: Slow, crowd: Crowd) -> None:
    path = limit(gateway, slow, burst=2, default_conn_delay=0.5)
    crowd.enter(path)
    second = begin(gateway, path)
    third = begin(gateway, path)
    assert statuses(gateway, path, 1) == [503]
    advance(gateway, 0.4)
    assert still_waits(gateway, second)
    assert slow.waiting == 1
    advance(gateway, 0.2)
    gateway.until(lambda: slow.waiting == 2)
    advance(gateway, 0.3)
    still_waits(gateway, third)
    assert slow.waiting == 2, "as long as the limit is exceeded: twice the delay"
    advance(gateway, 0.2)
    gateway.until(lambda: slow.waiting == 3)
    assert crowd.leave() == [200]
    assert [job.get(timeout=PATIENCE).status for job in (second, third)] == [200, 200]


def test_rejected_code_and_message(
    gateway: Gateway, slow: Slow, crowd: Crowd, policy: dict[str, Any]
) -> None:
    path = limit(gateway, slow, rejected_code=429, rejected_msg="Too many.", **policy)
    crowd.enter(path)
    answer = gateway.ask(path)
    assert (answer.status, answer.json()) == (429, {"error_msg": "Too many."})
    crowd.leave()


# keys


@pytest.mark.parametrize(
    ("conf", "one", "other"),
    [
        ({"key": "http_x_user"}, ("X-User", "a"), ("X-User", "b")),
        (
            {"key": "$remote_addr $http_x_user", "key_type": "var_combination"},
            ("X-User", "a"),
            ("X-User", "b"),
        ),
    ],
)
def test_clients_are_told_apart(
    gateway: Gateway, slow: Slow, crowd: Crowd, conf: Any, one: Any, other: Any
) -> None:
    path = limit(gateway, slow, **conf)
    crowd.enter(path, one)
    crowd.enter(path, other)
    assert statuses(gateway, path, 1, one) == [503]
    assert statuses(gateway, path, 1, other) == [503]
    assert crowd.leave() == [200, 200]


@pytest.mark.parametrize(
    "conf",
    [{"key": "http_x_user"}, {"key": "$http_x_user $arg_a", "key_type": "var_combination"}],
)
def test_a_request_without_the_key_counts_for_its_address(
    gateway: Gateway, slow: Slow, crowd: Crowd, conf: Any
) -> None:
    path = limit(gateway, slow, **conf)
    crowd.enter(path)
    assert statuses(gateway, path, 1) == [503]
    crowd.leave()


def test_key_of_the_consumer(gateway: Gateway, slow: Slow, crowd: Crowd) -> None:
    for name in ("one", "two"):
        plugins = {"key-auth": {"key": name}}
        gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins})
    conf = describe(key="consumer_name")
    upstream = {"nodes": {slow.node: 1}}
    path = gateway.route({"key-auth": {}, "limit-conn": conf}, upstream=upstream)
    crowd.enter(path, ("apikey", "one"))
    crowd.enter(path, ("apikey", "two"))
    assert statuses(gateway, path, 1, ("apikey", "one")) == [503]
    crowd.leave()


def test_a_global_rule_counts_for_all_routes(gateway: Gateway, slow: Slow, crowd: Crowd) -> None:
    paths = [gateway.route({}, upstream={"nodes": {slow.node: 1}}) for _ in range(2)]
    gateway.put("global_rules/g1", {"id": "g1", "plugins": {"limit-conn": describe()}})
    try:
        crowd.enter(paths[0])
        assert statuses(gateway, paths[1], 1) == [503]
        crowd.leave()
    finally:
        gateway.delete("global_rules/g1")


def test_each_route_has_its_own_counter(gateway: Gateway, slow: Slow, crowd: Crowd) -> None:
    for _ in range(2):
        crowd.enter(limit(gateway, slow))
    assert crowd.leave() == [200, 200]


def test_as_the_action_of_a_workflow(gateway: Gateway, slow: Slow, crowd: Crowd) -> None:
    rules = [
        {"case": [["arg_a", "==", name]], "actions": [["limit-conn", describe()]]} for name in "xy"
    ]
    upstream = {"nodes": {slow.node: 1}}
    path = gateway.route({"workflow": {"rules": rules}}, upstream=upstream)
    for _ in range(2):
        crowd.enter(f"{path}?a=x")
        crowd.enter(f"{path}?a=y")
        assert statuses(gateway, f"{path}?a=x", 1) == [503]
        assert crowd.leave() == [200, 200]


# redis


def test_the_counter_has_the_name_and_content_that_apisix_gives_it(
    gateway: Gateway, slow: Slow, crowd: Crowd, redis: Redis
) -> None:
    redis("flushall")
    path = limit(gateway, slow, **in_redis(redis), key_ttl=10)
    crowd.enter(path)
    (key,) = redis("keys", "*")
    assert key.startswith(f"limit_conn:/apisix/routes{path}:")
    assert key.endswith(":127.0.0.1")
    (_, score) = redis("zrange", key, 0, -1, "withscores")
    assert float(score) == int(gateway.clock.now) + 10
    assert 0 < redis("ttl", key) <= 10
    assert crowd.leave() == [200]
    gateway.until(lambda: redis("keys", "*") == [])


def test_a_place_that_nobody_gave_back_is_forgotten(
    gateway: Gateway, slow: Slow, crowd: Crowd, redis: Redis
) -> None:
    redis("flushall")
    path = limit(gateway, slow, **in_redis(redis), key_ttl=10)
    crowd.enter(path)
    (key,) = redis("keys", "*")
    redis("zadd", key, int(gateway.clock.now) + 10, "of a gateway that died")
    crowd.leave()
    gateway.until(lambda: redis("zcard", key) == 1)
    assert gateway.ask(path).status == 503
    advance(gateway, 10)
    slow.go_on.set()
    assert gateway.ask(path).status == 200


def test_user_and_password(gateway: Gateway, redis: Redis) -> None:
    redis("flushall")
    known: dict[str, Any] = {"redis_username": "app", "redis_password": "secret"}
    assert gateway.ask(limit(gateway, **in_redis(redis), **known)).status == 200
    path = limit(gateway, **in_redis(redis), redis_username="app", redis_password="wrong")
    assert gateway.ask(path).status == 500
    assert "failed to limit conn: WRONGPASS" in gateway.log


def test_nobody_listens(gateway: Gateway, redis: Redis) -> None:
    conf = {**in_redis(redis), "redis_port": 1}
    assert gateway.ask(limit(gateway, **conf)).status == 500
    assert "failed to limit conn: connection refused" in gateway.log
    assert gateway.ask(limit(gateway, **conf, allow_degradation=True)).status == 200
