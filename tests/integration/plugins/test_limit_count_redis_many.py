"""limit-count that counts in redis behind a sentinel and in a cluster."""

from __future__ import annotations

import pytest
from support.gateway import Gateway
from support.limits import advance, by_sentinel, in_cluster, limit, statuses
from support.redis_server import Redis


@pytest.fixture
def gateway(timed_gateway: Gateway) -> Gateway:
    """In virtual time, which redis does not share: it keeps its own."""
    return timed_gateway


# a sentinel


def test_the_master_that_a_sentinel_names(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis]
) -> None:
    watched[0]("flushall")
    path = limit(gateway, **by_sentinel(watched, redis_database=1))
    assert statuses(gateway, path, 3) == [200, 200, 503]
    watched[0]("select", 1)
    assert [key.split(":")[:2] for key in watched[0]("keys", "*")] == [["plugin-limit-count", "v1"]]
    watched[0]("select", 0)


def test_a_sliding_window_by_a_sentinel(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis]
) -> None:
    path = limit(gateway, **by_sentinel(watched, time_window=10, window_type="sliding"))
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_a_wrong_password_behind_a_sentinel(
    gateway: Gateway, watched: tuple[Redis, Redis, Redis]
) -> None:
    path = limit(gateway, **by_sentinel(watched, redis_password="bad"))
    assert gateway.ask(path).json() == {"error_msg": "failed to limit count"}
    message = "failed to limit count: redis connection failed, err: WRONGPASS"
    assert message in gateway.log


def test_no_sentinel_answers(gateway: Gateway, watched: tuple[Redis, Redis, Redis]) -> None:
    sentinels = [{"host": "127.0.0.1", "port": 1}]
    path = limit(gateway, **by_sentinel(watched, redis_sentinels=sentinels, sentinel_password="x"))
    assert gateway.ask(path).status == 500
    message = (
        "redis connection failed, err: no hosts available, previous_errors: connection refused"
    )
    assert message in gateway.log


# a cluster


def test_a_cluster(gateway: Gateway, cluster: list[Redis]) -> None:
    for server in cluster[:3]:
        server("flushall")
    paths = [limit(gateway, **in_cluster(cluster)) for _ in range(8)]
    for path in paths:
        assert statuses(gateway, path, 3) == [200, 200, 503]
    keys = [server("dbsize") for server in cluster[:3]]
    assert sum(keys) == 8
    assert max(keys) < 8, "they are spread over the nodes"


def test_a_sliding_window_in_a_cluster(gateway: Gateway, cluster: list[Redis]) -> None:
    conf = in_cluster(cluster, count=4, time_window=10, window_type="sliding")
    path = limit(gateway, **conf)
    assert statuses(gateway, path, 5) == [200, 200, 200, 200, 503]
    advance(gateway, 15)
    assert statuses(gateway, path, 3) == [200, 200, 503]


def test_no_node_answers(gateway: Gateway, cluster: list[Redis]) -> None:
    nobody = {"redis_cluster_nodes": ["127.0.0.1:1"], "redis_cluster_name": "nobody"}
    conf = in_cluster(cluster, **nobody)
    assert gateway.ask(limit(gateway, **conf)).status == 500
    message = "failed to new redis cluster: failed to fetch slots: connection refused"
    assert f"failed to fetch limit.count object: {message}" in gateway.log
    assert gateway.ask(limit(gateway, **conf, allow_degradation=True)).status == 200
