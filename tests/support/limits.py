"""What tests of limit-* have in common: virtual time, many requests, what headers say."""

from __future__ import annotations

from typing import Any

import gevent
from support.gateway import Answer, Gateway
from support.redis_server import Redis

from pygw.hub.clock import VirtualClock


def advance(gateway: Gateway, seconds: float) -> None:
    """Let virtual time pass."""
    assert isinstance(gateway.clock, VirtualClock)
    gateway.clock.advance(seconds)


def describe(**conf: Any) -> dict[str, Any]:
    """A configuration: two requests a minute unless it says more."""
    return {"count": 2, "time_window": 60, **conf}


def in_redis(server: Redis, **conf: Any) -> dict[str, Any]:
    """The same, counting in a redis server."""
    where = {"policy": "redis", "redis_host": "127.0.0.1", "redis_port": server.port}
    return {**describe(**where), **conf}


def by_sentinel(servers: tuple[Redis, Redis, Redis], **conf: Any) -> dict[str, Any]:
    """The same, counting in the master that the sentinel (the last of `servers`) names."""
    where = {
        "policy": "redis-sentinel",
        "redis_sentinels": [{"host": "127.0.0.1", "port": servers[2].port}],
        "redis_master_name": "mymaster",
        "redis_password": "data",
        "sentinel_password": "watch",
    }
    return {**describe(**where), **conf}


def in_cluster(cluster: list[Redis], **conf: Any) -> dict[str, Any]:
    """The same, counting in a cluster; the first of its nodes that is named is not there."""
    where = {
        "policy": "redis-cluster",
        "redis_cluster_nodes": ["127.0.0.1:1", f"127.0.0.1:{cluster[1].port}"],
        "redis_cluster_name": f"c{cluster[1].port}",
        "redis_password": "secret",
    }
    return {**describe(**where), **conf}


def limit(gateway: Gateway, **conf: Any) -> str:
    """The path of a new route with a configuration; with rules, these alone."""
    return gateway.route({"limit-count": conf if "rules" in conf else describe(**conf)})


def statuses(gateway: Gateway, path: str, count: int, *sent: tuple[str, str]) -> list[int]:
    """The status codes of that many requests, one after the other."""
    return [gateway.ask(path, list(sent)).status for _ in range(count)]


def quota(answer: Answer, infix: str = "") -> tuple[str | None, ...]:
    """What the headers say of limit, remaining and reset."""
    names = ("Limit", "Remaining", "Reset")
    return tuple(answer.headers.get(f"X-{infix}RateLimit-{name}") for name in names)


def begin(gateway: Gateway, path: str, *sent: tuple[str, str]) -> gevent.Greenlet:
    """Send a request that may have to wait; returns when the gateway has looked at it."""
    job = gevent.spawn(gateway.ask, path, list(sent))
    gevent.sleep(0)
    still_waits(gateway, job)
    return job


def still_waits(gateway: Gateway, job: gevent.Greenlet) -> bool:
    """Is there no answer yet, though the gateway has answered one that came later?"""
    gateway.ask("/nowhere")
    return not job.ready()
