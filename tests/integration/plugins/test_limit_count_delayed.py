"""limit-count that tells redis of requests later."""

from __future__ import annotations

from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance, by_sentinel, in_cluster, in_redis, limit, quota, statuses
from support.redis_server import Redis


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    """In virtual time, which redis does not share: it keeps its own."""
    return timed_gateway


@pytest.fixture
def server(redis: Redis) -> Redis:
    """Empty."""
    redis("flushall")
    return redis


def counted(server: Redis) -> list[str]:
    return [server("get", key) for key in server("keys", "plugin-limit-count*")]


def told(gateway: Gateway, server: Redis, count: str) -> None:
    """Time passes until redis knows: an interval after its answer to the report before."""

    def passes() -> bool:
        advance(gateway, 0.1)
        return counted(server) == [count]

    gateway.until(passes)


@pytest.mark.parametrize("window_type", ["fixed", "sliding"])
def test_requests_are_told_to_redis_later(
    gateway: Gateway, server: Redis, window_type: str
) -> None:
    conf = in_redis(server, count=5, sync_interval=0.5, window_type=window_type)
    path = limit(gateway, **conf)
    answers = [gateway.ask(path) for _ in range(4)]
    assert [quota(answer)[1] for answer in answers] == ["4", "3", "2", "1"]
    assert counted(server) == ["0"]
    told(gateway, server, "4")
    assert statuses(gateway, path, 2) == [200, 503]
    told(gateway, server, "5")


def test_what_others_counted_is_seen_after_the_interval(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server, count=10, sync_interval=0.5))
    assert quota(gateway.ask(path))[:2] == ("10", "9")
    (key,) = server("keys", "plugin-limit-count*")
    server("incrby", key, 7)
    told(gateway, server, "8")
    gateway.until(lambda: quota(gateway.ask(path))[1] in ("1", "0"))
    assert gateway.ask(path).status in (200, 503)
    assert gateway.ask(path).status == 503


def test_without_redis_requests_are_counted_here(gateway: Gateway, server: Redis) -> None:
    path = limit(gateway, **in_redis(server, redis_port=1, sync_interval=0.5))
    assert statuses(gateway, path, 3) == [200, 200, 503]
    assert "sync to redis failed: connection refused" in gateway.log
    assert "try use fallback limiter to do rate limiting" in gateway.log
    advance(gateway, 61)
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_delayed_through_a_sentinel_and_in_a_cluster(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis], cluster: list[Redis]
) -> None:
    for conf in (by_sentinel(watched), in_cluster(cluster)):
        path = limit(gateway, **conf, sync_interval=0.5)
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
    conf = in_redis(server, time_window="${http_x_window ?? 10}", sync_interval=20)
    path = limit(gateway, **conf)
    assert gateway.ask(path).status == 200
    assert counted(server) == ["1"]
