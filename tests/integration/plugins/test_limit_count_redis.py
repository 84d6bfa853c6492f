"""limit-count that counts in redis: one server, by a sentinel, in a cluster; real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.gateway import Answer, Gateway
from support.redis_server import Redis, running, running_cluster, running_sentinel

from pygw.hub.clock import VirtualClock

START = 1_700_000_000.0  # seconds; windows of 10 begin there
USER = "user app on >secret ~* &* +@all"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """In virtual time, which redis does not share: it keeps its own."""
    return start_gateway(VirtualClock(START))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running(tmp_path_factory.mktemp("redis") / "one", USER) as redis:
        yield redis


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Redis, Redis, Redis]]:
    base = tmp_path_factory.mktemp("redis")
    with running_sentinel(base, password="data", sentinel_password="watch") as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Redis]]:
    base = tmp_path_factory.mktemp("cluster")
    with running_cluster(base, "requirepass secret", "masterauth secret") as servers:
        yield servers


@pytest.fixture(autouse=True)
def clean(gateway: Gateway, server: Redis) -> None:
    server("flushall")
    advance(gateway, -gateway.clock.now % 600)


def advance(gateway: Gateway, seconds: float) -> None:
    assert isinstance(gateway.clock, VirtualClock)
    gateway.clock.advance(seconds)


def one(server: Redis, **conf: Any) -> dict[str, Any]:
    """A configuration of the policy redis: two requests a minute unless it says more."""
    where = {"policy": "redis", "redis_host": "127.0.0.1", "redis_port": server.port}
    return {"count": 2, "time_window": 60, **where, **conf}


def limit(gateway: Gateway, conf: dict[str, Any]) -> str:
    return gateway.route({"limit-count": conf})


def statuses(gateway: Gateway, path: str, count: int) -> list[int]:
    return [gateway.ask(path).status for _ in range(count)]


def quota(answer: Answer) -> tuple[str | None, str | None]:
    return answer.headers.get("X-RateLimit-Limit"), answer.headers.get("X-RateLimit-Remaining")


def reset(answer: Answer) -> float:
    return float(answer.headers.get("X-RateLimit-Reset") or "nan")


# one server


def test_a_window_and_the_next(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server))
    answers = [gateway.ask(path) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 503]
    assert [quota(answer) for answer in answers] == [("2", "1"), ("2", "0"), ("2", "0")]
    assert all(0 < reset(answer) <= 60 for answer in answers)
    (key,) = server("keys", "*")
    assert 0 < server("ttl", key) <= 60
    server("del", key)  # what the end of the window comes to
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_the_counter_has_the_name_and_content_that_apisix_gives_it(
    gateway: Gateway, server: Redis
) -> None:
    path = limit(gateway, one(server))
    statuses(gateway, path, 2)
    (key,) = server("keys", "*")
    assert key.startswith(f"plugin-limit-count:v1:/apisix/routes{path}:")
    assert key.endswith(":127.0.0.1")
    assert server("get", key) == "2"


def test_gateways_share_the_counter(
    gateway: Gateway, start_gateway: Callable[..., Gateway], server: Redis
) -> None:
    conf = one(server, group="shared")
    other = start_gateway(VirtualClock(START))
    paths = limit(gateway, conf), limit(other, conf)
    assert statuses(gateway, paths[0], 1) == [200]
    assert statuses(other, paths[1], 2) == [200, 503]


def test_connections_are_kept(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server, count=100))
    statuses(gateway, path, 1)
    before = connections(server)
    statuses(gateway, path, 10)
    assert connections(server) == before


def connections(server: Redis) -> str:
    lines: list[str] = server("info", "stats").splitlines()
    return next(line for line in lines if line.startswith("total_connections_received"))


def test_scripts_that_redis_forgot_are_sent_again(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server))
    assert statuses(gateway, path, 1) == [200]
    server("script", "flush")
    assert statuses(gateway, path, 2) == [200, 503]
    assert "redis evalsha failed: NOSCRIPT" in gateway.log


def test_database(gateway: Gateway, server: Redis) -> None:
    paths = [limit(gateway, one(server, redis_database=number)) for number in (1, 2)]
    for path in paths * 2:  # connections of one must not serve the other
        assert statuses(gateway, path, 1) == [200]
    assert server("dbsize") == 0
    for number in (1, 2):
        server("select", number)
        assert [f"/routes{paths[number - 1]}:" in key for key in server("keys", "*")] == [True]
    server("select", 0)


def test_a_database_that_is_not_there(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server, redis_database=999))
    assert gateway.ask(path).status == 500
    assert "failed to change redis db, err: ERR DB index is out of range" in gateway.log


def test_user_and_password(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server, redis_username="app", redis_password="secret"))
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_a_wrong_password(gateway: Gateway, server: Redis) -> None:
    good = limit(gateway, one(server, redis_username="app", redis_password="secret"))
    bad = limit(gateway, one(server, redis_username="app", redis_password="wrong"))
    assert statuses(gateway, good, 1) == [200]
    answer = gateway.ask(bad)
    assert (answer.status, answer.text) == (500, '{"error_msg":"failed to limit count"}\n')
    assert "failed to limit count: WRONGPASS" in gateway.log
    assert "wrong" not in gateway.log.lower().replace("wrongpass", "")


def test_nobody_listens(gateway: Gateway, server: Redis) -> None:
    conf = one(server, redis_port=1)
    answer = gateway.ask(limit(gateway, conf))
    assert (answer.status, answer.json) == (500, {"error_msg": "failed to limit count"})
    assert "failed to limit count: connection refused" in gateway.log
    assert gateway.ask(limit(gateway, {**conf, "allow_degradation": True})).status == 200


def test_a_sliding_window(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server, count=4, time_window=10, window_type="sliding"))
    assert statuses(gateway, path, 5) == [200, 200, 200, 200, 503]
    keys = server("keys", "*")
    assert len(keys) == 1
    assert keys[0].startswith(f"plugin-limit-count:/apisix/routes{path}:")
    assert keys[0].endswith(f":127.0.0.1.{int(gateway.clock.now // 10)}.counter")
    assert server("get", keys[0]) == "4", "rejected requests do not count"
    assert 10 < server("ttl", keys[0]) <= 20
    advance(gateway, 15)
    answers = [gateway.ask(path) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 503]
    assert [quota(answer) for answer in answers] == [("4", "1"), ("4", "0"), ("4", "0")]


def test_numbers_with_variables(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server, count="${http_x_count ?? 1}"))
    assert statuses(gateway, path, 2) == [200, 503]
    assert quota(gateway.ask(path, {"X-Count": "5"})) == ("5", "2")


# a sentinel


def by_sentinel(servers: tuple[Redis, Redis, Redis], **conf: Any) -> dict[str, Any]:
    where = {
        "policy": "redis-sentinel",
        "redis_sentinels": [{"host": "127.0.0.1", "port": servers[2].port}],
        "redis_master_name": "mymaster",
        "redis_password": "data",
        "sentinel_password": "watch",
    }
    return {"count": 2, "time_window": 60, **where, **conf}


def test_the_master_that_a_sentinel_names(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis]
) -> None:
    watched[0]("flushall")
    path = limit(gateway, by_sentinel(watched, redis_database=1))
    assert statuses(gateway, path, 3) == [200, 200, 503]
    watched[0]("select", 1)
    assert [key.split(":")[:2] for key in watched[0]("keys", "*")] == [["plugin-limit-count", "v1"]]
    watched[0]("select", 0)


def test_a_sliding_window_by_a_sentinel(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis]
) -> None:
    path = limit(gateway, by_sentinel(watched, time_window=10, window_type="sliding"))
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_a_wrong_password_behind_a_sentinel(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis]
) -> None:
    path = limit(gateway, by_sentinel(watched, redis_password="bad"))
    assert gateway.ask(path).json == {"error_msg": "failed to limit count"}
    message = "failed to limit count: redis connection failed, err: WRONGPASS"
    assert message in gateway.log


def test_no_sentinel_answers(gateway: Gateway, watched: tuple[Redis, Redis, Redis]) -> None:
    sentinels = [{"host": "127.0.0.1", "port": 1}]
    path = limit(gateway, by_sentinel(watched, redis_sentinels=sentinels, sentinel_password="x"))
    assert gateway.ask(path).status == 500
    message = (
        "redis connection failed, err: no hosts available, previous_errors: connection refused"
    )
    assert message in gateway.log


# a cluster


def in_cluster(cluster: list[Redis], **conf: Any) -> dict[str, Any]:
    where = {
        "policy": "redis-cluster",
        "redis_cluster_nodes": ["127.0.0.1:1", f"127.0.0.1:{cluster[1].port}"],
        "redis_cluster_name": f"c{cluster[1].port}",
        "redis_password": "secret",
    }
    return {"count": 2, "time_window": 60, **where, **conf}


def test_a_cluster(gateway: Gateway, cluster: list[Redis]) -> None:
    for server in cluster[:3]:
        server("flushall")
    paths = [limit(gateway, in_cluster(cluster)) for _ in range(8)]
    for path in paths:
        assert statuses(gateway, path, 3) == [200, 200, 503]
    keys = [server("dbsize") for server in cluster[:3]]
    assert sum(keys) == 8
    assert max(keys) < 8, "they are spread over the nodes"


def test_a_sliding_window_in_a_cluster(gateway: Gateway, cluster: list[Redis]) -> None:
    conf = in_cluster(cluster, count=4, time_window=10, window_type="sliding")
    path = limit(gateway, conf)
    assert statuses(gateway, path, 5) == [200, 200, 200, 200, 503]
    advance(gateway, 15)
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_no_node_answers(gateway: Gateway, cluster: list[Redis]) -> None:
    nobody = {"redis_cluster_nodes": ["127.0.0.1:1"], "redis_cluster_name": "nobody"}
    conf = in_cluster(cluster, **nobody)
    assert gateway.ask(limit(gateway, conf)).status == 500
    message = "failed to new redis cluster: failed to fetch slots: connection refused"
    assert f"failed to fetch limit.count object: {message}" in gateway.log
    assert gateway.ask(limit(gateway, {**conf, "allow_degradation": True})).status == 200


# delayed


def counted(server: Redis) -> list[str]:
    return [server("get", key) for key in server("keys", "plugin-limit-count*")]


@pytest.mark.parametrize("window_type", ["fixed", "sliding"])
def test_requests_are_told_to_redis_later(
    gateway: Gateway, server: Redis, window_type: str
) -> None:
    conf = one(server, count=5, sync_interval=0.5, window_type=window_type)
    path = limit(gateway, conf)
    answers = [gateway.ask(path) for _ in range(4)]
    assert [quota(answer)[1] for answer in answers] == ["4", "3", "2", "1"]
    assert counted(server) == ["0"]
    advance(gateway, 0.6)
    gateway.until(lambda: counted(server) == ["4"])
    assert statuses(gateway, path, 2) == [200, 503]
    advance(gateway, 0.6)
    gateway.until(lambda: counted(server) == ["5"])


def test_what_others_counted_is_seen_after_the_interval(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server, count=10, sync_interval=0.5))
    assert quota(gateway.ask(path)) == ("10", "9")
    (key,) = server("keys", "plugin-limit-count*")
    server("incrby", key, 7)
    advance(gateway, 0.6)
    gateway.until(lambda: counted(server) == ["8"])
    gateway.until(lambda: quota(gateway.ask(path))[1] in ("1", "0"))
    assert gateway.ask(path).status in (200, 503)
    assert gateway.ask(path).status == 503


def test_without_redis_requests_are_counted_here(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, one(server, redis_port=1, sync_interval=0.5))
    assert statuses(gateway, path, 3) == [200, 200, 503]
    assert "sync to redis failed: connection refused" in gateway.log
    assert "try use fallback limiter to do rate limiting" in gateway.log
    advance(gateway, 61)
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_delayed_through_a_sentinel_and_in_a_cluster(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis], cluster: list[Redis]
) -> None:
    for conf in (by_sentinel(watched), in_cluster(cluster)):
        path = limit(gateway, {**conf, "sync_interval": 0.5})
        assert statuses(gateway, path, 3) == [200, 200, 503]
        servers = cluster[:3] if conf["policy"] == "redis-cluster" else watched[:1]
        advance(gateway, 0.6)
        gateway.until(lambda: value_of(servers, path) == "2")  # noqa: B023


def value_of(servers: Any, path: str) -> str | None:
    for server in servers:
        for key in server("keys", f"*/routes{path}:*"):
            return str(server("get", key))
    return None


def test_a_window_shorter_than_the_interval_is_not_delayed(gateway: Gateway, server: Redis) -> None:
    conf = one(server, time_window="${http_x_window ?? 10}", sync_interval=20)
    path = limit(gateway, conf)
    assert gateway.ask(path).status == 200
    assert counted(server) == ["1"]
