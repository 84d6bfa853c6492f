"""Health checks of upstreams that a plugin makes of its configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKS = {
    "active": {
        "http_path": "/status",
        "healthy": {"interval": 1, "successes": 1},
        "unhealthy": {"interval": 1, "http_failures": 1},
    }
}


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    directory = str(Path(__file__).with_name("plugins"))
    return {"plugins": ["t-instances"], "pygw": {"plugin_dirs": [directory]}}


def test_each_instance_has_a_checker_that_ends_with_it(
    site: Any, nodes: Callable[[int], list[Any]]
) -> None:
    one, two = nodes(2)
    instances = [{"port": node.port, "checks": CHECKS} for node in (one, two)]
    path = site.gateway.route({"t-instances": {"instances": instances}})
    assert site.gateway.ask(path).json() == [False, False], "they are made when they are asked for"
    site.pass_until(lambda: bool(one.probes) and bool(two.probes))
    assert site.gateway.ask(path).json() == [True, True]
    two.status = 500
    site.pass_until(lambda: site.gateway.ask(path).json() == [True, False])
    site.gateway.delete(f"routes{path}")
    site.clock.advance(3)
    site.settle()
    one.probes.clear()
    site.clock.advance(10)
    site.settle()
    assert not one.probes
