"""Python plugins among Lua ones: phases, order, configuration, state, where they may stand."""

from __future__ import annotations

import re
from typing import Any

MARK = """
    class Mark(Plugin):
        name, priority = "t-mark", 500
        schema = {"type": "object"}

        def mark(self, conf, ctx):
            seen = ctx.request.headers.get("x-order")
            ctx.request.headers["x-order"] = f"{seen} python" if seen else "python"
        rewrite = access = before_proxy = mark

        def header_filter(self, conf, ctx):
            seen = ctx.response.headers.get("x-order")
            ctx.response.headers["x-order"] = f"{seen} python" if seen else "python"

        def body_filter(self, conf, ctx, chunk, last):
            return chunk.replace(b"ORDER", b"ORDER python")

        def log(self, conf, ctx):
            ctx.var["t"] = "x"
            logged.append((ctx.response.status, ctx.var["route_id"]))
    logged = []
"""
ALL = {"t-lua-high": {}, "t-mark": {}, "t-lua-low": {}}


def test_every_phase_runs_among_lua_plugins_by_priority(start: Any) -> None:
    gateway = start(MARK, {"a": ALL})
    answer = gateway.ask("/a/ORDER")
    assert answer.seen["x-order"] == " ".join(["high python low"] * 3)
    assert answer.headers["x-order"] == "high python low"
    assert answer.json["path"] == "/a/ORDER low python high", "each replaced the first word"
    gateway.until(lambda: gateway.module.logged)
    assert gateway.module.logged == [(200, "a")]
    assert re.findall("log of (high|low)", gateway.log()) == ["high", "low"]


def test_meta_priority_moves_one_before_the_others(start: Any) -> None:
    first = {"t-mark": {"_meta": {"priority": 1000}}, "t-lua-high": {}, "t-lua-low": {}}
    gateway = start(MARK, {"a": first})
    assert gateway.ask("/a").headers["x-order"] == "python high low"


def test_meta_disable_leaves_one_out(start: Any) -> None:
    gateway = start(MARK, {"a": {"t-mark": {"_meta": {"disable": True}}, "t-lua-low": {}}})
    assert gateway.ask("/a").headers["x-order"] == "low"


def test_meta_filter_decides_for_each_request(start: Any) -> None:
    only = {"_meta": {"filter": [["arg_mark", "==", "yes"]]}}
    gateway = start(MARK, {"a": {"t-mark": only, "t-lua-low": {}}})
    assert gateway.ask("/a?mark=yes").headers["x-order"] == "python low"
    assert gateway.ask("/a?mark=no").headers["x-order"] == "low"


SHOW = """
    class Show(Plugin):
        name, priority = "t-show", 10
        schema = {
            "type": "object",
            "properties": {
                "count": {"type": "integer", "minimum": 1, "default": 3},
                "tags": {"type": "array", "items": {"type": "string"}},
                "deep": {
                    "type": "object",
                    "properties": {"on": {"type": "boolean", "default": True}},
                },
            },
            "required": ["who"],
        }
        def access(self, conf, ctx):
            seen.append(conf)
            return Response(200, conf)
    seen = []
"""


def test_the_configuration_has_its_defaults_and_its_types(start: Any) -> None:
    gateway = start(SHOW, {"a": {"t-show": {"who": "zoë", "tags": [], "deep": {}}}})
    expected = {"who": "zoë", "tags": [], "count": 3, "deep": {"on": True}, "_meta": {}}
    assert gateway.ask("/a").json == expected
    gateway.ask("/a")
    first, second = gateway.module.seen
    assert first is second, "it crosses into Python once, not with every request"


def test_a_configuration_that_the_schema_refuses_is_not_applied(start: Any) -> None:
    gateway = start(SHOW, {"a": {"t-show": {}}, "b": {"t-show": {"who": "b", "count": 0}}})
    assert gateway.ask("/a").status == gateway.ask("/b").status == 404
    assert "t-show" in gateway.log()
    assert 'property "who" is required' in gateway.log()
    assert "expected 0 to be at least 1" in gateway.log()


def test_a_changed_configuration_is_what_the_next_request_sees(start: Any, put: Any) -> None:
    gateway = start(SHOW, {"a": {"t-show": {"who": "a"}}})
    assert gateway.ask("/a").json["who"] == "a"
    put(gateway, "a", {"t-show": {"who": "b"}})
    gateway.until(lambda: gateway.ask("/a").json["who"] == "b")


STATE = """
    class One(Plugin):
        name, priority = "t-one", 2
        schema = {"type": "object"}
        def rewrite(self, conf, ctx):
            assert not ctx.state
            ctx.state["path"] = ctx.request.path
        def access(self, conf, ctx):
            contexts.append(ctx)
        def log(self, conf, ctx):
            contexts.append(ctx)
            paths.append(ctx.state["path"])

    class Two(One):
        name, priority = "t-two", 1
    contexts, paths = [], []
"""


def test_state_is_the_plugins_own_and_lasts_for_the_request(start: Any) -> None:
    gateway = start(STATE, {"a": {"t-one": {}, "t-two": {}}})
    gateway.ask("/a/1")
    gateway.ask("/a/2")
    gateway.until(lambda: len(gateway.module.paths) == 4)
    assert gateway.module.paths == ["/a/1", "/a/1", "/a/2", "/a/2"]
    assert len({id(context) for context in gateway.module.contexts}) == 4


RETRY = """
    import gevent
    class Retry(Plugin):
        name, priority = "t-retry", 10
        schema = {"type": "object"}
        def before_proxy(self, conf, ctx):
            gevent.sleep(0)  # in nginx's balancer phase too, at a retry
            tries.append(ctx.var["balancer_ip"])
            ctx.request.headers["x-try"] = str(len(tries))
    tries = []
"""


def test_before_proxy_runs_again_for_a_retry_and_its_changes_arrive(
    start: Any, upstream: Any, unused_port: int
) -> None:
    nodes = [
        {"host": "127.0.0.1", "port": port, "weight": 1, "priority": priority}
        for priority, port in enumerate([int(upstream.node.split(":")[1]), unused_port])
    ]
    value = {"uri": "/a", "plugins": {"t-retry": {}}}
    value["upstream"] = {"type": "roundrobin", "nodes": nodes, "retries": 1}
    gateway = start(RETRY, resources={"routes/1": value})
    assert gateway.ask("/a").seen["x-try"] == "2"
    assert gateway.module.tries == ["127.0.0.1"] * 2


def test_they_stand_in_global_rules_services_plugin_configs_and_consumers(
    start: Any, upstream: Any
) -> None:
    source = """
    class _Base(Plugin):
        schema = {"type": "object"}
        def access(self, conf, ctx):
            ctx.request.headers["x-" + self.name] = conf.get("by", "yes")

    @hookimpl
    def pygw_plugins():
        names = enumerate(["t-global", "t-service", "t-config", "t-user"])
        return [type(name, (_Base,), {"name": name, "priority": i}) for i, name in names]
    """
    gateway = start(
        source,
        resources={
            "global_rules/1": {"id": "1", "plugins": {"t-global": {}}},
            "services/1": {
                "plugins": {"t-service": {"by": "service"}},
                "upstream": {"type": "roundrobin", "nodes": {upstream.node: 1}},
            },
            "plugin_configs/1": {"id": "1", "plugins": {"t-config": {}}},
            "routes/1": {
                "uri": "/a",
                "service_id": "1",
                "plugin_config_id": "1",
                "plugins": {"key-auth": {}},
            },
            "consumers/jack": {
                "username": "jack",
                "plugins": {"key-auth": {"key": "secret"}, "t-user": {"by": "jack"}},
            },
        },
    )
    gateway.until(lambda: gateway.ask("/a").status == 401)
    seen = gateway.ask("/a", headers={"apikey": "secret"}).seen
    marks = {name: value for name, value in seen.items() if name.startswith("x-t-")}
    assert marks == {
        "x-t-global": "yes",
        "x-t-service": "service",
        "x-t-config": "yes",
        "x-t-user": "jack",
    }
