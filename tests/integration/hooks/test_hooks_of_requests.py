"""Hooks of requests: each phase, the server of each try, what they cost where there are none."""

from __future__ import annotations

from typing import Any

import pytest

PHASES = ["rewrite", "access", "before_proxy", "header_filter", "log"]

SEE = """
    seen = []
""" + "".join(
    f"""
    @hookimpl
    def pygw_{phase}(ctx):
        seen.append(("{phase}", ctx.request.path, react("{phase}", ctx)))
        return seen[-1][2]
"""
    for phase in PHASES
)
REACT = """
    def react(phase, ctx):
        return None
"""


def phases(gateway: Any, path: str) -> list[str]:
    return [phase for phase, at, _ in gateway.module.seen if at == path]


def test_a_hook_for_each_phase(start: Any) -> None:
    gateway = start(SEE + REACT, {"a": {}})
    assert gateway.ask("/a").status == 200
    gateway.until(lambda: "log" in phases(gateway, "/a"))
    assert phases(gateway, "/a") == PHASES


def test_without_a_route_they_see_it_too(start: Any) -> None:
    gateway = start(SEE + REACT)
    assert gateway.ask("/none").status == 404
    gateway.until(lambda: "log" in phases(gateway, "/none"))
    assert phases(gateway, "/none") == ["rewrite", "access", "header_filter", "log"]


@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy"])
@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_phase_that_may_answer_answers(start: Any, phase: str, how: str) -> None:
    react = f"""
    def react(phase, ctx):
        if phase == "{phase}":
            {how} Response(403, {{"by": phase}}, {{"X-By": "hook"}})
"""
    gateway = start(SEE + react, {"a": {}})
    answer = gateway.ask("/a")
    assert (answer.status, answer.json, answer.headers["x-by"]) == (403, {"by": phase}, "hook")


def test_they_change_the_request_and_the_response_and_may_wait(start: Any) -> None:
    react = """
    import gevent
    def react(phase, ctx):
        gevent.sleep(0)
        if phase == "access":
            ctx.request.headers["x-hook"] = "1"
        if phase == "header_filter":
            ctx.response.headers["x-hook"] = "2"
"""
    gateway = start(SEE + react, {"a": {}})
    answer = gateway.ask("/a")
    assert (answer.seen["x-hook"], answer.headers["x-hook"]) == ("1", "2")


def test_a_hook_runs_before_the_plugins_of_its_phase(start: Any) -> None:
    plugin = """
    class Order(Plugin):
        name, priority = "t-order", 10**6
        schema = {"type": "object"}
        def rewrite(self, conf, ctx):
            seen.append(("plugin", ctx.request.path, None))
"""
    gateway = start(SEE + REACT + plugin, {"a": {"t-order": {}}})
    gateway.ask("/a")
    assert phases(gateway, "/a")[:3] == ["rewrite", "plugin", "access"]


@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy"])
def test_a_hook_that_raises_is_an_error_500_with_its_traceback(start: Any, phase: str) -> None:
    react = f"""
    def react(phase, ctx):
        if phase == "{phase}" and ctx.request.headers.get("x-fail"):
            raise ValueError("no good")
"""
    gateway = start(SEE + react, {"a": {}})
    assert gateway.ask("/a", headers={"x-fail": "1"}).status == 500
    log = gateway.log()
    assert f"plugin [pygw hooks] failed in phase {phase}" in log
    assert "ValueError: no good" in log
    assert "plugins.py" in log
    assert gateway.ask("/a").status == 200


PICKED = """
    picked = []
    @hookimpl
    def pygw_upstream_picked(ctx, upstream):
        picked.append((ctx.request.path, upstream))
        react(ctx)
    def react(ctx):
        pass
"""


def test_the_server_of_each_try_is_told(start: Any, upstream: Any, unused_port: int) -> None:
    dead = f"127.0.0.1:{unused_port}"
    node = {
        "nodes": [
            {"host": "127.0.0.1", "port": unused_port, "weight": 1, "priority": 1},
            {
                "host": "127.0.0.1",
                "port": int(upstream.node.partition(":")[2]),
                "weight": 1,
                "priority": 0,
            },
        ]
    }
    route = {"uri": "/tries", "upstream": {"type": "roundrobin", **node}}
    gateway = start(PICKED, {"a": {}}, resources={"routes/tries": route})
    assert gateway.ask("/a").status == 200
    assert gateway.ask("/tries").status == 200
    told = [(path, f"{u.host}:{u.port}", u.route, u.tries) for path, u in gateway.module.picked]
    assert told == [
        ("/a", upstream.node, "a", 1),
        ("/tries", dead, "tries", 1),
        ("/tries", upstream.node, "tries", 2),
    ]


def test_a_look_at_the_server_that_fails_leaves_the_request_alone(start: Any, caplog: Any) -> None:
    gateway = start(PICKED, {"a": {}})

    def fail(ctx: Any) -> None:
        raise ValueError("no good")

    gateway.module.react = fail
    assert gateway.ask("/a").status == 200
    assert "a pygw_upstream_picked hook failed" in caplog.text


CROSSINGS = """
local bridge = require "server.bridge"
local counts = {}
for _, name in ipairs({ "python_phase", "python_request_over", "log_record", "plugin_loaded" }) do
    local call = bridge.call[name]
    bridge.call[name] = function(...)
        counts[name] = (counts[name] or 0) + 1
        return call(...)
    end
end
"""


def counted(gateway: Any, ask: Any) -> dict[str, int]:
    """The bridge calls of hooks and plugins that happen while `ask()` does."""
    runtime = gateway.worker.worker.runtime
    counts = runtime.execute(CROSSINGS + "return counts")
    ask()
    return {name: int(counts[name]) for name in counts}


def test_what_nobody_implements_is_not_even_asked_for(start: Any) -> None:
    gateway = start(
        "class Idle(Plugin):\n        name, priority, schema = 't-idle', 1, {}", {"a": {}}
    )
    assert counted(gateway, lambda: gateway.ask("/a")) == {}
    execute = gateway.worker.worker.runtime.execute
    assert execute(
        """
        local hooks, run = require("apisix.hooks"), function() end
        return hooks.before(run) == run and hooks.after_pick(run) == run
            and require("server.log").record == nil
        """
    )


def test_one_phase_implemented_crosses_for_that_phase_alone(start: Any) -> None:
    gateway = start(
        """
    @hookimpl
    def pygw_access(ctx):
        pass
""",
        {"a": {}},
    )
    assert counted(gateway, lambda: gateway.ask("/a"))["python_phase"] == 1


def test_a_trace_shows_them_as_one_plugin(start: Any) -> None:
    apisix = {"enable_debug": True, "enable_control": False}
    gateway = start(SEE + REACT, {"a": {}}, config={"apisix": apisix})
    answer = gateway.ask("/a")
    assert answer.status == 200
    assert "pygw hooks" in answer.headers.get("apisix-plugins", "")
