"""What tests of the cluster client have in common: which master serves what."""

from __future__ import annotations

from support.redis_server import Redis


def owner(cluster: list[Redis], key: str) -> Redis:
    """The master that serves a key, as the cluster says."""
    slot = cluster[0]("cluster", "keyslot", key)
    for first, last, (_, port, *_), *_ in cluster[0]("cluster", "slots"):
        if first <= slot <= last:
            return next(server for server in cluster if server.port == port)
    raise AssertionError(slot)


def keys_by_owner(cluster: list[Redis]) -> dict[int, str]:
    """A key for each of the masters, by port."""
    return {owner(cluster, f"key{i}").port: f"key{i}" for i in range(100)}
