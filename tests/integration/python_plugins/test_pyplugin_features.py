"""What a Python plugin can do beyond its phases, each seen by a client of a gateway."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any

import pytest

AUTH = """
    class Auth(Plugin):
        name, priority = "t-auth", 2500
        schema = {"type": "object"}
        consumer_schema = {
            "type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}
        def rewrite(self, conf, ctx):
            token = ctx.request.headers.get("x-token", "")
            consumer = ctx.find_consumer("t-auth", "token", token)
            if consumer is None:
                return Response(401, {"message": "who are you?"})
            assert consumer.conf == {"token": token}
            ctx.attach_consumer(consumer)
"""


def test_an_auth_plugin_attaches_a_consumer_whose_plugins_run(start: Any) -> None:
    consumer = {"username": "jack", "plugins": {"t-auth": {"token": "s3cret"}, "t-mark": {}}}
    source = (
        AUTH
        + """
    class Mark(Plugin):
        name, priority, schema = "t-mark", 10, {"type": "object"}
        def access(self, conf, ctx):
            ctx.request.headers["x-marked"] = ctx.var["consumer_name"]
    """
    )
    gateway = start(source, {"a": {"t-auth": {}}}, resources={"consumers/jack": consumer})
    assert gateway.ask("/a").status == 401
    assert gateway.ask("/a", headers={"x-token": "wrong"}).json == {"message": "who are you?"}
    answer = gateway.ask("/a", headers={"x-token": "s3cret"})
    assert answer.status == 200, gateway.log()
    assert answer.seen["x-consumer-username"] == "jack"
    assert answer.seen["x-marked"] == "jack"


def test_a_consumer_without_what_its_schema_wants_is_refused(start: Any) -> None:
    consumer = {"username": "jack", "plugins": {"t-auth": {}}}
    gateway = start(AUTH, {"a": {"t-auth": {}}}, resources={"consumers/jack": consumer})
    assert 'property "token" is required' in gateway.log()


METADATA = """
    class Meta(Plugin):
        name, priority, schema = "t-meta", 10, {"type": "object"}
        metadata_schema = {"type": "object", "properties": {
            "text": {"type": "string"}, "size": {"type": "integer", "default": 3}}}
        def access(self, conf, ctx):
            assert conf.metadata == self.metadata
            return Response(200, conf.metadata)
"""


def test_metadata_is_as_it_is_now_with_its_defaults(start: Any) -> None:
    gateway = start(METADATA, {"a": {"t-meta": {}}})
    assert gateway.ask("/a").json == {}
    gateway.store.put(b"/apisix/plugin_metadata/t-meta", json.dumps({"text": "zoë"}).encode())
    gateway.until(lambda: gateway.ask("/a").json == {"text": "zoë", "size": 3})


def test_metadata_against_its_schema_is_refused(start: Any) -> None:
    gateway = start(METADATA, resources={"plugin_metadata/t-meta": {"text": 7}})
    gateway.until(lambda: 'property "text" validation failed' in gateway.log())


TYPES = {
    "msgspec": """
    import msgspec
    class Limit(msgspec.Struct):
        per: str = "minute"
        count: int = 1
    class Conf(msgspec.Struct, forbid_unknown_fields=True):
        team: str
        limit: Limit = msgspec.field(default_factory=Limit)
    """,
    "pydantic": """
    import pydantic
    class Limit(pydantic.BaseModel):
        per: str = "minute"
        count: int = 1
    class Conf(pydantic.BaseModel, extra="forbid"):
        team: str
        limit: Limit = pydantic.Field(default_factory=Limit)
    """,
}
TYPED = """
    class Typed(Plugin):
        name, priority, schema = "t-typed", 10, Conf
        def access(self, conf, ctx):
            assert type(conf) is Conf
            return Response(200, [conf.team, conf.limit.per, conf.limit.count])
"""


@pytest.mark.parametrize("library", TYPES)
def test_a_schema_may_be_a_type(start: Any, library: str) -> None:
    pytest.importorskip(library)
    routes = {
        "a": {"t-typed": {"team": "red", "_meta": {"priority": 3}}},
        "b": {"t-typed": {"team": "blue", "limit": {"count": 9}}},
        "c": {"t-typed": {"team": 1}},
        "d": {"t-typed": {"team": "green", "tem": 1}},
    }
    gateway = start(TYPES[library] + TYPED, routes)
    assert gateway.ask("/a").json == ["red", "minute", 1], gateway.log()
    assert gateway.ask("/b").json == ["blue", "minute", 9]
    assert gateway.ask("/c").status == 404
    assert gateway.ask("/d").status == 404
    assert 'property "team" validation failed' in gateway.log()


def test_what_a_type_knows_beyond_its_schema_is_checked_too(start: Any) -> None:
    pytest.importorskip("pydantic")
    source = """
    import pydantic
    class Conf(pydantic.BaseModel):
        low: int
        high: int
        @pydantic.model_validator(mode="after")
        def in_order(self):
            assert self.low < self.high, "low must be below high"
            return self
    """
    typed = TYPED.replace("[conf.team, conf.limit.per, conf.limit.count]", "[conf.low]")
    routes = {"a": {"t-typed": {"low": 1, "high": 2}}, "b": {"t-typed": {"low": 3, "high": 2}}}
    gateway = start(source + typed, routes)
    assert gateway.ask("/a").json == [1]
    assert gateway.ask("/b").status == 404
    assert "low must be below high" in gateway.log()


API = """
    from pygw.plugin import Route
    class Served(Plugin):
        name, priority, schema = "t-served", 10, {"type": "object"}
        def api(self):
            return [Route(["GET", "POST"], "/t/status", self.show)]
        def control_api(self):
            return [Route(["GET"], "/v1/plugin/t-served", self.show)]
        def show(self, ctx):
            if ctx.request.method == "POST":
                raise Response(201, ctx.request.body, {"X-Made": "yes"})
            return Response(200, {"path": ctx.request.path})
"""


def test_a_plugin_serves_paths_of_its_own_through_public_api(start: Any) -> None:
    resources = {"routes/api": {"uri": "/t/*", "plugins": {"public-api": {}}}}
    gateway = start(API, config={"plugins": ["public-api"]}, resources=resources)
    assert gateway.ask("/t/status").json == {"path": "/t/status"}
    made = gateway.ask("/t/status", "POST", body=b"text")
    assert (made.status, made.body, made.headers["X-Made"]) == (201, b"text", "yes")
    assert gateway.ask("/t/other").status == 404
    assert gateway.ask("/t/status", "PUT").status == 404


STREAM = """
    import gevent
    class Stream(Plugin):
        name, priority, schema = "t-stream", 10, {"type": "object"}
        def access(self, conf, ctx):
            ctx.request.headers["accept-encoding"] = "identity"
        def body_filter(self, conf, ctx, chunks):
            yield b"<"
            size = 0
            for chunk in chunks:
                gevent.sleep(0)
                size += len(chunk)
                yield chunk.upper()
            yield b">%d" % size
"""


def test_a_body_filter_may_be_a_generator_that_flushes_at_the_end(start: Any) -> None:
    gateway = start(STREAM, {"a": {"t-stream": {}}})
    body = "x" * 200_000
    answer = gateway.ask("/a", "POST", body=body)
    assert answer.status == 200
    shown, _, size = answer.body[1:].rpartition(b">")
    assert answer.body[:1] == b"<"
    assert int(size) == len(shown) > len(body)
    assert json.loads(shown.decode().lower())["body"] == body
    assert gateway.ask("/a").body.startswith(b'<{"METHOD"'), "each response has its own"


def test_a_generator_that_raises_lets_nothing_unfiltered_out(start: Any) -> None:
    source = STREAM.replace('yield b"<"', 'raise LookupError("no luck")')
    gateway = start(source, {"a": {"t-stream": {}}})
    with contextlib.suppress(http.client.HTTPException):  # the answer is cut short
        assert b"method" not in gateway.ask("/a").body
    gateway.until(lambda: "LookupError: no luck" in gateway.log())
    assert "plugin [t-stream] failed in phase body_filter" in gateway.log()


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
    import gevent

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
