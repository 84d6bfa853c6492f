"""What Python plugins use of their worker, and what the worker does about those that are stuck."""

from __future__ import annotations

from typing import Any

import gevent
import pytest


def test_shared_dictionaries_are_those_of_lua(start: Any) -> None:
    source = """
    import pygw
    class Shared(Plugin):
        name, priority, schema = "t-shared", 10, {"type": "object"}
        def access(self, conf, ctx):
            d = pygw.shared["t-dict"]
            out = [d.get("a"), d.get("a", 5), d.add("a", "zoë"), d.add("a", 1), d.get("a")]
            d.set("n", 2, ttl=60)
            out += [d.incr("n", 3), 0 < d.ttl("n") <= 60, d.ttl("a"), d.ttl("gone")]
            d.delete("a")
            out += [d.get("a"), d.incr("new", 1, init=10)]
            try:
                d.incr("gone")
            except KeyError as error:
                out.append(str(error))
            try:
                pygw.shared["nothing"].get("a")
            except Exception as error:
                out.append(str(error).partition(":")[0])
            return Response(200, out)
    """
    config = {
        "plugins": [],
        "nginx_config": {"http": {"custom_lua_shared_dict": {"t-dict": "1m"}}},
    }
    answer = start(source, {"a": {"t-shared": {}}}, config).ask("/a")
    assert answer.json == [
        *[None, 5, True, False, "zoë", 5, True, 0, None, None, 11, "'gone'"],
        "there is no shared dictionary 'nothing'",
    ]


def test_timers_run_again_and_are_cancelled(start: Any) -> None:
    source = """
    import pygw
    class Timers(Plugin):
        name, priority, schema = "t-timers", 10, {"type": "object"}
        def init(self):
            self.ran = []
            pygw.timer.at(0, self.ran.append, "at init")
        def access(self, conf, ctx):
            again = pygw.timer.every(0.01, self.tick)
            self.again = again
            pygw.timer.at(0.001, lambda: 1 / 0)
            pygw.timer.at(3600, self.ran.append, "never")
            return Response(200)
        def tick(self):
            self.ran.append("tick")
            if self.ran.count("tick") == 3:
                self.again.cancel()
    """
    gateway = start(source, {"a": {"t-timers": {}}})
    plugin = gateway.worker._plugins["t-timers"]
    gateway.until(lambda: plugin.ran == ["at init"])
    gateway.ask("/a")
    gateway.until(lambda: plugin.ran.count("tick") == 3)
    pending = gateway.worker.worker.timers
    gateway.until(lambda: plugin.again.cancelled)
    gateway.stop()
    assert plugin.ran == ["at init", "tick", "tick", "tick"]
    assert pending.pending_count == 0


def test_metrics_reach_the_endpoint(start: Any) -> None:
    source = """
    import pygw
    HITS = pygw.metrics.counter("t_hits", "Hits.", ["team"])
    SIZE = pygw.metrics.gauge("t_size", "Size.")
    TIME = pygw.metrics.histogram("t_time", "Time.", [], [0.1, 1])
    class Metrics(Plugin):
        name, priority, schema = "t-metrics", 10, {"type": "object"}
        def access(self, conf, ctx):
            HITS.inc(team="red")
            HITS.inc(2, team="blue")
            SIZE.set(7)
            SIZE.dec()
            TIME.observe(0.5)
            try:
                HITS.inc(tem="red")
            except ValueError as error:
                return Response(200, str(error))
    """
    config = {
        "plugins": ["prometheus", "public-api"],
        "plugin_attr": {"prometheus": {"refresh_interval": 0.1, "enable_export_server": False}},
    }
    path = "/apisix/prometheus/metrics"
    api = {"routes/m": {"uri": path, "plugins": {"public-api": {}}}}
    gateway = start(source, {"a": {"t-metrics": {}}}, config, api)
    assert gateway.ask("/a").body == b"the labels of t_hits are team; given were tem"
    wanted = [
        'apisix_t_hits{team="red"} 1',
        'apisix_t_hits{team="blue"} 2',
        "apisix_t_size 6",
        'apisix_t_time_bucket{le="0.1"} 0',
        'apisix_t_time_bucket{le="1"} 1',
        "apisix_t_time_sum 0.5",
    ]
    gateway.until(lambda: all(line in gateway.ask(path).body.decode() for line in wanted))


def test_a_metric_is_the_same_one_in_lua(start: Any) -> None:
    source = """
    import pygw
    HITS = pygw.metrics.counter("t_hits", "Hits.", ["team"])
    class Metrics(Plugin):
        name, priority, schema = "t-metrics", 10, {"type": "object"}
        def access(self, conf, ctx):
            HITS.inc(team="red")
    """
    code = """return function()
        local registry = require("apisix.plugins.prometheus.exporter").get_prometheus()
        registry.registry.t_hits:inc(5, {"red"})
    end"""
    config = {
        "plugins": ["prometheus", "public-api", "serverless-post-function"],
        "plugin_attr": {"prometheus": {"refresh_interval": 0.1, "enable_export_server": False}},
    }
    path = "/apisix/prometheus/metrics"
    api = {"routes/m": {"uri": path, "plugins": {"public-api": {}}}}
    lua = {"serverless-post-function": {"phase": "log", "functions": [code]}}
    gateway = start(source, {"a": {"t-metrics": {}, **lua}}, config, api)
    assert gateway.ask("/a").status == 200
    gateway.until(lambda: b'apisix_t_hits{team="red"} 6' in gateway.ask(path).body)


DEADLINE = """
    import gevent
    class Stuck(Plugin):
        name, priority, schema = "t-stuck", 10, {"type": "object"}
        timeout = 0.05
        def access(self, conf, ctx): self.wait(ctx, "access")
        def header_filter(self, conf, ctx): self.wait(ctx, "header_filter")
        def log(self, conf, ctx): self.wait(ctx, "log")
        def wait(self, ctx, phase):
            if ctx.var["arg_phase"] == phase:
                try:
                    gevent.sleep(3600)
                except Exception:
                    pass  # what ends it is no Exception
"""


@pytest.mark.parametrize(("phase", "status"), [("access", 503), ("header_filter", 500)])
def test_a_stuck_plugin_lets_no_request_through(
    start: Any, upstream: Any, phase: str, status: int
) -> None:
    gateway = start(DEADLINE, {"a": {"t-stuck": {}}})
    asked = upstream.asked
    answer = gateway.ask(f"/a?phase={phase}")
    assert answer.status == status
    assert b'"method"' not in answer.body
    assert upstream.asked == asked + (phase != "access")
    message = f"plugin [t-stuck] took more than 0.05 seconds in phase {phase}"
    gateway.until(lambda: message in gateway.log())
    assert gateway.ask("/a").status == 200


def test_config_yaml_may_let_requests_pass_a_stuck_plugin(start: Any) -> None:
    config = {"plugins": [], "plugin_attr": {"t-stuck": {"timeout": 0.1, "on_timeout": "pass"}}}
    gateway = start(DEADLINE, {"a": {"t-stuck": {}}}, config)
    assert gateway.ask("/a?phase=access").status == 200
    assert "took more than 0.1 seconds in phase access: the request goes on" in gateway.log()


def test_waiting_for_the_clients_body_is_not_the_plugins_fault(start: Any) -> None:
    source = """
    class Reads(Plugin):
        name, priority, schema = "t-reads", 10, {"type": "object"}
        timeout = 0.05
        def access(self, conf, ctx): return Response(200, ctx.request.body)
    """

    def slow() -> Any:
        yield b"a"
        gevent.sleep(0.2)
        yield b"b"

    gateway = start(source, {"a": {"t-reads": {}}})
    assert gateway.ask("/a", "POST", body=slow()).body == b"ab"


def test_a_plugin_that_spins_is_named_by_the_watchdog(start: Any) -> None:
    source = """
    import time
    class Spin(Plugin):
        name, priority, schema = "t-spin", 10, {"type": "object"}
        def access(self, conf, ctx):
            until = time.monotonic() + 0.6
            while time.monotonic() < until:
                pass
    """
    config = {"plugins": [], "pygw": {"python_plugins": ["plugins.py"], "watchdog_timeout": 0.2}}
    gateway = start(source, {"a": {"t-spin": {}}}, config)
    assert gateway.ask("/a").status == 200
    assert "the worker has not answered for 0." in gateway.log()
    assert "seconds: plugin [t-spin], phase access\n" in gateway.log()
    assert "while time.monotonic() < until" in gateway.log()
