"""limit-count that counts in a redis server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.gateway import Gateway
from support.limits import advance, in_redis, limit, quota, statuses
from support.redis_server import Redis

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    """In virtual time, which redis does not share: it keeps its own."""
    return timed_gateway


@pytest.fixture
def server(redis: Redis) -> Redis:
    """Empty."""
    redis("flushall")
    return redis


def reset(answer: Answer) -> float:
    return float(answer.headers.get("X-RateLimit-Reset") or "nan")


def test_a_window_and_the_next(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server))
    answers = [gateway.ask(path) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 503]
    assert [quota(answer)[:2] for answer in answers] == [("2", "1"), ("2", "0"), ("2", "0")]
    assert all(0 < reset(answer) <= 60 for answer in answers)
    (key,) = server("keys", "*")
    assert 0 < server("ttl", key) <= 60
    server("del", key)  # what the end of the window comes to
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_the_counter_has_the_name_and_content_that_apisix_gives_it(
    gateway: Gateway, server: Redis
) -> None:
    path = limit(gateway, **in_redis(server))
    statuses(gateway, path, 2)
    (key,) = server("keys", "*")
    assert key.startswith(f"plugin-limit-count:v1:/apisix/routes{path}:")
    assert key.endswith(":127.0.0.1")
    assert server("get", key) == "2"


def test_gateways_share_the_counter(
    gateway: Gateway, start_gateway: Callable[..., Gateway], server: Redis
) -> None:
    conf = in_redis(server, group="shared")
    other = start_gateway(VirtualClock())
    paths = limit(gateway, **conf), limit(other, **conf)
    assert statuses(gateway, paths[0], 1) == [200]
    assert statuses(other, paths[1], 2) == [200, 503]


def test_connections_are_kept(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server, count=100))
    statuses(gateway, path, 1)
    before = connections(server)
    statuses(gateway, path, 10)
    assert connections(server) == before


def connections(server: Redis) -> str:
    lines: list[str] = server("info", "stats").splitlines()
    return next(line for line in lines if line.startswith("total_connections_received"))


def test_scripts_that_redis_forgot_are_sent_again(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server))
    assert statuses(gateway, path, 1) == [200]
    server("script", "flush")
    assert statuses(gateway, path, 2) == [200, 503]
    assert "redis evalsha failed: NOSCRIPT" in gateway.log


def test_database(gateway: Gateway, server: Redis) -> None:
    paths = [limit(gateway, **in_redis(server, redis_database=number)) for number in (1, 2)]
    for path in paths * 2:  # connections of one must not serve the other
        assert statuses(gateway, path, 1) == [200]
    assert server("dbsize") == 0
    for number in (1, 2):
        server("select", number)
        assert [f"/routes{paths[number - 1]}:" in key for key in server("keys", "*")] == [True]
    server("select", 0)


def test_a_database_that_is_not_there(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server, redis_database=999))
    assert gateway.ask(path).status == 500
    assert "failed to change redis db, err: ERR DB index is out of range" in gateway.log


def test_user_and_password(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server, redis_username="app", redis_password="secret"))
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_a_wrong_password(gateway: Gateway, server: Redis) -> None:
    good = limit(gateway, **in_redis(server, redis_username="app", redis_password="secret"))
    bad = limit(gateway, **in_redis(server, redis_username="app", redis_password="wrong"))
    assert statuses(gateway, good, 1) == [200]
    answer = gateway.ask(bad)
    assert (answer.status, answer.text) == (500, '{"error_msg":"failed to limit count"}\n')
    assert "failed to limit count: WRONGPASS" in gateway.log
    assert "wrong" not in gateway.log.lower().replace("wrongpass", "")


def test_nobody_listens(gateway: Gateway, server: Redis) -> None:
    conf = in_redis(server, redis_port=1)
    answer = gateway.ask(limit(gateway, **conf))
    assert (answer.status, answer.json()) == (500, {"error_msg": "failed to limit count"})
    assert "failed to limit count: connection refused" in gateway.log
    assert gateway.ask(limit(gateway, **conf, allow_degradation=True)).status == 200


def test_a_sliding_window(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server, count=4, time_window=10, window_type="sliding"))
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
    assert [quota(answer)[:2] for answer in answers] == [("4", "1"), ("4", "0"), ("4", "0")]


def test_numbers_with_variables(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server, count="${http_x_count ?? 1}"))
    assert statuses(gateway, path, 2) == [200, 503]
    assert quota(gateway.ask(path, {"X-Count": "5"}))[:2] == ("5", "2")
