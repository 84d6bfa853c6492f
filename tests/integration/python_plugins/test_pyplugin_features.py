"""What a Python plugin can do beyond its phases, each seen by a client of a gateway."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from typing import Any

import pytest

from pygw.extensions.manager import Extensions
from pygw.vm.checker import Checker

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


@pytest.mark.parametrize("place", ["service", "global rule", "consumer"])
def test_it_runs_wherever_lua_plugins_do_and_meta_works(start: Any, place: str) -> None:
    source = """
    class Mark(Plugin):
        name, priority, schema = "t-mark", 10, {"type": "object"}
        def access(self, conf, ctx):
            ctx.request.headers["x-by"] = conf["by"]
    """
    given = {"t-mark": {"by": place, "_meta": {"filter": [["arg_off", "~=", "1"]]}}}
    resources: dict[str, Any] = {
        "service": {"services/s": {"plugins": given}},
        "global rule": {"global_rules/g": {"id": "g", "plugins": given}},
        "consumer": {
            "consumers/jack": {"username": "jack", "plugins": {"key-auth": {"key": "k"}, **given}}
        },
    }[place]
    route: dict[str, Any] = {"uri": "/x", "plugins": {}, "upstream": None}
    if place == "consumer":
        route["plugins"] = {"key-auth": {}}
    if place == "service":
        route["service_id"] = "s"
    gateway = start(source, resources=resources)
    route["upstream"] = {"type": "roundrobin", "nodes": {gateway.node: 1}}
    gateway.store.put(b"/apisix/routes/x", json.dumps(route).encode())
    headers = {"apikey": "k"}
    gateway.until(lambda: gateway.ask("/x", headers=headers).status == 200)
    assert gateway.ask("/x", headers=headers).seen["x-by"] == place
    assert "x-by" not in gateway.ask("/x?off=1", headers=headers).seen


def test_the_admin_api_knows_types_and_refuses_what_cannot_be_used(settings: Any) -> None:
    pytest.importorskip("pydantic")
    source = TYPES["pydantic"] + TYPED
    source += """
    class Broken(Plugin):
        name, priority, schema = "t-broken", 51, {"type": "object"}
        async def access(self, conf, ctx): pass
    """
    extensions = Extensions(settings(source))
    plugins = extensions.find_plugins()
    checker = Checker(settings(source), plugins, extensions.broken)
    try:
        known, schema = checker.plugin_schema("t-typed", None)
        assert known
        assert schema["properties"]["limit"]["properties"]["count"]["type"] == "integer"
        route = {"uri": "/", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}
        for given, fault in [
            ({"t-typed": {"team": "red"}}, None),
            ({"t-typed": {}}, 'property "team" is required'),
            ({"t-broken": {}}, "the plugin cannot be used: plugin Broken (.*`access` is `async"),
        ]:
            document = json.dumps({**route, "plugins": given}).encode()
            said = checker.check("routes", "1", document)
            assert said is None if fault is None else re.search(fault.replace("(", r"\("), said)
    finally:
        checker.close()
