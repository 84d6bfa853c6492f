"""The plugin limit-conn: so many requests at the same time, some more that wait, no more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import event, server
from support.gateway import PATIENCE, Gateway, read_message
from support.limits import advance, begin, statuses, still_waits
from support.redis_server import Redis

from pygw.hub.clock import VirtualClock


class Slow:
    """An upstream that answers when it is told to; `waiting` requests wait for that."""

    def __init__(self) -> None:
        self.go_on = event.Event()
        self.waiting = 0
        self._server = server.StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.node = f"127.0.0.1:{self._server.server_port}"

    def _serve(self, connection: Any, _address: Any) -> None:
        with contextlib.closing(connection), connection.makefile("rb") as stream:
            if not read_message(stream):
                return
            self.waiting += 1
            self.go_on.wait()
            self.waiting -= 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def stop(self) -> None:
        self.go_on.set()
        self._server.stop(timeout=0)


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


def in_redis(server: Redis) -> dict[str, Any]:
    return {"policy": "redis", "redis_host": "127.0.0.1", "redis_port": server.port}


def describe(**conf: Any) -> dict[str, Any]:
    """A configuration: one request at a time unless it says more."""
    if "rules" in conf:
        return {"default_conn_delay": 0.1, **conf}
    return {"conn": 1, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr", **conf}


def limit(gateway: Gateway, slow: Slow | None = None, **conf: Any) -> str:
    upstream = {"upstream": {"nodes": {slow.node: 1}}} if slow else {}
    return gateway.route({"limit-conn": describe(**conf)}, **upstream)


class Crowd:
    """Requests that are at the upstream at the same time."""

    def __init__(self, gateway: Gateway, slow: Slow) -> None:
        self.gateway, self.slow = gateway, slow
        self.jobs: list[gevent.Greenlet] = []

    def enter(self, path: str, *sent: tuple[str, str]) -> None:
        """Send one more; returns when the upstream has got it."""
        count = self.slow.waiting
        self.jobs.append(gevent.spawn(self.gateway.ask, path, list(sent)))
        self.gateway.until(lambda: self.slow.waiting > count)

    def leave(self) -> list[int]:
        """Have the upstream answer all; returns their statuses."""
        self.slow.go_on.set()
        jobs, self.jobs = self.jobs, []
        found = [job.get(timeout=PATIENCE).status for job in jobs]
        self.slow.go_on.clear()
        return found


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
    assert (answer.status, answer.json) == (429, {"error_msg": "Too many."})
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


# rules and numbers with variables


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


def test_rules(gateway: Gateway, slow: Slow, crowd: Crowd, policy: dict[str, Any]) -> None:
    rules = [
        {"key": "${http_x_user}", "conn": 1, "burst": 0},
        {"key": "${http_x_company}", "conn": "${http_x_conn ?? 2}", "burst": 0},
    ]
    path = limit(gateway, slow, rules=rules, **policy)
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
