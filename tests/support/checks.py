"""What tests of health checks have in common: checks that decide at once, and waiting for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def active(**conf: Any) -> dict[str, Any]:
    """Probes of /status, once a second, one of which decides; unless it says more."""
    healthy = {"interval": 1, "successes": 1, **conf.pop("healthy", {})}
    unhealthy = {
        "interval": 1, "http_failures": 1, "tcp_failures": 1, "timeouts": 1,
        **conf.pop("unhealthy", {}),
    }  # fmt: skip
    return {"http_path": "/status", "healthy": healthy, "unhealthy": unhealthy, **conf}


def both(pair: list[Any]) -> set[str]:
    return {node.address for node in pair}


def begin(site: Any, pair: list[Any], **upstream: Any) -> str:
    """A route with checks; returns when its nodes have been probed."""
    path: str = site.route(pair, **upstream)
    site.gateway.ask(path)
    site.pass_until(lambda: all(node.probes or node.connections for node in pair))
    return path


def answered_by(site: Any, path: str, *nodes: Any) -> Callable[[], bool]:
    return lambda: set(site.shares(path)) == {node.address for node in nodes}
