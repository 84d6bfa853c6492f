"""The plugin serverless-pre-function as those who write functions for it meet it."""

from __future__ import annotations

import pytest
from support.gateway import Gateway


def run(gateway: Gateway, *functions: str, phase: str | None = None) -> str:
    """The path of a route with these functions."""
    conf = {"functions": [*functions], **({"phase": phase} if phase else {})}
    return gateway.route({"serverless-pre-function": conf})


def test_the_default_phase_is_access(gateway: Gateway) -> None:
    path = run(gateway, 'return function() ngx.header["X-Phase"] = ngx.get_phase() end')
    assert gateway.ask(path).headers.get("X-Phase") == "access"


@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy", "header_filter"])
def test_each_phase(gateway: Gateway, phase: str) -> None:
    path = run(gateway, 'return function() ngx.header["X-Ran"] = "1" end', phase=phase)
    assert gateway.ask(path).headers.all("X-Ran") == ["1"]


def test_body_filter(gateway: Gateway) -> None:
    function = "return function() ngx.arg[1] = ngx.arg[1] and ngx.arg[1]:upper() end"
    assert gateway.ask(run(gateway, function, phase="body_filter")).text == "HELLO"


def test_log(gateway: Gateway) -> None:
    function = 'return function() ngx.log(ngx.ERR, "logged with status ", ngx.status) end'
    gateway.ask(run(gateway, function, phase="log"))
    gateway.until(lambda: "logged with status 200" in gateway.log)


def test_a_function_gets_configuration_and_context(gateway: Gateway) -> None:
    function = """return function(conf, ctx)
        ngx.header["X-Phase"] = conf.phase
        ngx.header["X-Route"] = ctx.matched_route.value.id
        ngx.header["X-Uri"] = ctx.var.uri
    end"""
    path = run(gateway, function)
    answer = gateway.ask(path)
    assert answer.headers.get("X-Phase") == "access"
    assert answer.headers.get("X-Route") == path[1:]
    assert answer.headers.get("X-Uri") == path


def test_functions_run_in_their_order(gateway: Gateway) -> None:
    append = """return function(_, ctx)
        ctx.said = (ctx.said or "") .. "%s"
        ngx.header["X-Said"] = ctx.said
    end"""
    path = run(gateway, append % "one ", append % "two ", append % "three")
    assert gateway.ask(path).headers.get("X-Said") == "one two three"


def test_the_first_that_answers_ends_the_request(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    answers = 'return function() return 402, { error = "pay" } end'
    path = run(gateway, answers, 'return function() ngx.header["X-Later"] = 1 end')
    answer = gateway.ask(path)
    assert (answer.status, answer.json()) == (402, {"error": "pay"})
    assert "X-Later" not in answer.headers
    assert len(gateway.upstream.requests) == asked


def test_it_runs_before_the_others(gateway: Gateway) -> None:
    """An unauthenticated request may be let in by a header that the function sets."""
    gateway.put("consumers/jack", {"username": "jack", "plugins": {"key-auth": {"key": "k"}}})
    function = """return function(_, ctx)
        require("apisix.core").request.set_header(ctx, "apikey", "k")
    end"""
    conf = {"phase": "rewrite", "functions": [function]}
    path = gateway.route({"serverless-pre-function": conf, "key-auth": {}})
    assert gateway.ask(path).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "jack"


def test_closures_keep_what_they_hold_between_requests(gateway: Gateway) -> None:
    counter = """local count = 0
    return function()
        count = count + 1
        ngx.header["X-Count"] = count
    end"""
    path = run(gateway, counter)
    assert [gateway.ask(path).headers.get("X-Count") for _ in range(3)] == ["1", "2", "3"]
    other = run(gateway, counter)
    assert gateway.ask(other).headers.get("X-Count") == "1"


def test_a_function_may_wait(gateway: Gateway) -> None:
    function = "return function() ngx.sleep(0.001) ngx.exit(204) end"
    assert gateway.ask(run(gateway, function)).status == 204


def test_a_function_may_print(gateway: Gateway) -> None:
    function = 'return function() ngx.say("hi ", ngx.var.arg_name) ngx.exit(200) end'
    answer = gateway.ask(run(gateway, function) + "?name=me")
    assert (answer.status, answer.text) == (200, "hi me\n")


def test_redirect_to_https(gateway: Gateway) -> None:
    function = """return function()
        if ngx.var.scheme == "http" and ngx.var.host == "test.com" then
            ngx.header["Location"] = "https://test.com" .. ngx.var.request_uri
            ngx.exit(ngx.HTTP_MOVED_PERMANENTLY)
        end
    end"""
    path = run(gateway, function)
    answer = gateway.ask(f"{path}?a=1")
    assert answer.status == 301
    assert answer.headers.get("Location") == f"https://test.com{path}?a=1"


def test_an_error_is_a_500_and_a_line_in_the_log(gateway: Gateway) -> None:
    path = run(gateway, 'return function() error("this went wrong") end')
    assert gateway.ask(path).status == 500
    assert "serverless-pre-function" in gateway.log
    assert "this went wrong" in gateway.log
    assert gateway.ask(run(gateway, "return function() end")).status == 200


def test_another_source_takes_the_place_of_the_first(gateway: Gateway) -> None:
    source = 'return function() ngx.header["X-V"] = "%s" end'
    path = run(gateway, source % 1)
    assert gateway.ask(path).headers.get("X-V") == "1"
    plugins = {"serverless-pre-function": {"functions": [source % 2]}}
    gateway.put(f"routes{path}", gateway.describe(path, plugins))
    assert gateway.ask(path).headers.get("X-V") == "2"


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, 'property "functions" is required'),
        (
            {"functions": []},
            'property "functions" validation failed: expect array to have at least 1',
        ),
        (
            {"functions": ["return function() end"], "phase": "abc"},
            'property "phase" validation failed: matches none of the enum values',
        ),
        ({"functions": ["return 1 +"]}, "failed to loadstring: "),
        ({"functions": ["error('boo')"]}, "pcall error: "),
        ({"functions": ["return 1"]}, "only accept Lua function, the input code type is number"),
        ({"functions": ["ngx.now()"]}, "only accept Lua function, the input code type is nil"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, object], reason: str
) -> None:
    log = gateway.complaint({"serverless-pre-function": conf})
    assert f"check the configuration of plugin serverless-pre-function err: {reason}" in log
