"""Global rules: plugins that run on every request."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="module")
def gateway(module_start: Callable[..., Any], upstream: Any) -> Any:
    to = {"type": "roundrobin", "nodes": {upstream.node: 1}}
    return module_start(
        {
            "global_rules/1": {"id": "1", "plugins": {"t-order": {"mark": "global"}, "t-once": {}}},
            "global_rules/2": {"id": "2", "plugins": {"t-late": {"mark": "g2"}}},
            "global_rules/3": {"id": "3", "plugins": {"t-late": {"mark": "g3"}}},
            "routes/plain": {
                "uri": "/plain",
                "upstream": to,
                "plugins": {"t-late": {"mark": "route"}},
            },
            "routes/once": {"uri": "/once", "upstream": to, "plugins": {"t-once": {"mark": "own"}}},
            "routes/bare": {"uri": "/bare", "upstream": to},
        }
    )


def order(answer: Any) -> list[str]:
    return str(answer.headers["X-Order"]).split()


def test_global_rules_run_before_the_route_in_each_phase(gateway: Any) -> None:
    assert order(gateway.ask("/plain")) == [
        "global.rewrite", "t-once.rewrite", "route.rewrite",
        "global.access", "t-once.access", "route.access",
        "global.before_proxy", "t-once.before_proxy", "route.before_proxy",
        "global.header_filter", "t-once.header_filter", "route.header_filter",
    ]  # fmt: skip


def test_a_plugin_in_two_rules_is_in_none(gateway: Any) -> None:
    assert not [step for step in order(gateway.ask("/bare")) if step.startswith("g2")]
    assert "Found t-late configured across different global rules" in gateway.log()


def test_a_plugin_may_leave_its_place_to_the_route(gateway: Any) -> None:
    steps = order(gateway.ask("/once"))
    assert steps.count("own.rewrite") == 1
    assert "t-once.rewrite" not in steps


def test_global_rules_run_where_no_route_is(gateway: Any) -> None:
    answer = gateway.ask("/nowhere")
    assert answer.status == 404
    assert order(answer)[:2] == ["global.rewrite", "t-once.rewrite"]
    assert "global.access" in order(answer)


def test_global_rules_follow_their_changes(gateway: Any) -> None:
    gateway.put("global_rules/4", {"id": "4", "plugins": {"t-body": {}}})
    gateway.until(lambda: gateway.ask("/bare").body.startswith("<"))
    gateway.delete("global_rules/4")
    gateway.until(lambda: gateway.ask("/bare").body.startswith("{"))
