"""The plugin serverless-post-function as those who write functions for it meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

NAME = "serverless-post-function"
PHASES = ["rewrite", "access", "before_proxy", "header_filter", "body_filter", "log"]


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=[NAME, "serverless-pre-function", "key-auth", "response-rewrite"])


def run(gateway: Gateway, *functions: str, phase: str | None = None) -> str:
    """The path of a route with these functions."""
    return gateway.route({NAME: {"functions": [*functions], **({"phase": phase} if phase else {})}})


def test_the_default_phase_is_access(gateway: Gateway) -> None:
    path = run(gateway, 'return function() ngx.header["X-Phase"] = ngx.get_phase() end')
    assert gateway.ask(path).headers.get("X-Phase") == "access"


@pytest.mark.parametrize("phase", PHASES)
def test_it_runs_after_the_other_in_every_phase(gateway: Gateway, phase: str) -> None:
    say = 'return function(conf) ngx.log(ngx.WARN, "%s in ", conf.phase) end'
    before = len(gateway.log)
    confs = {NAME: "second", "serverless-pre-function": "first"}
    gateway.ask(
        gateway.route(
            {name: {"phase": phase, "functions": [say % word]} for name, word in confs.items()}
        )
    )
    gateway.until(lambda: f"second in {phase}" in gateway.log[before:])
    log = gateway.log[before:]
    assert 0 < log.index(f"first in {phase}") < log.index(f"second in {phase}")


def test_it_sees_what_the_others_did(gateway: Gateway) -> None:
    gateway.put("consumers/jack", {"username": "jack", "plugins": {"key-auth": {"key": "k"}}})
    tell = 'return function(_, ctx) ngx.header["X-Who"] = ctx.consumer_name end'
    path = gateway.route({NAME: {"phase": "rewrite", "functions": [tell]}, "key-auth": {}})
    assert gateway.ask(path, {"apikey": "k"}).headers.get("X-Who") == "jack"
    refused = gateway.ask(path)
    assert (refused.status, refused.headers.get("X-Who")) == (401, None)


def test_it_has_the_last_word_on_headers(gateway: Gateway) -> None:
    more = 'return function() ngx.header["X-Said"] = ngx.header["X-Said"] .. " and more" end'
    path = gateway.route(
        {
            NAME: {"phase": "header_filter", "functions": [more]},
            "response-rewrite": {"headers": {"set": {"X-Said": "this"}}},
        }
    )
    assert gateway.ask(path).headers.get("X-Said") == "this and more"


def test_the_matched_path_is_known(gateway: Gateway) -> None:
    """The public documentation's first example."""
    function = """return function(conf, ctx)
        ngx.log(ngx.ERR, "match uri ", ctx.curr_req_matched and ctx.curr_req_matched._path)
    end"""
    path = run(gateway, function, phase="rewrite")
    gateway.ask(path)
    assert f"match uri {path}" in gateway.log


def test_functions_run_in_their_order_until_one_answers(gateway: Gateway) -> None:
    append = """return function(_, ctx)
        ctx.said = (ctx.said or "") .. "%s"
        ngx.header["X-Said"] = ctx.said
    end"""
    tea = "return function() return 418, 'tea' end"
    answer = gateway.ask(run(gateway, append % "a", append % "b", tea, append % "c"))
    assert (answer.status, answer.text) == (418, "tea")
    assert answer.headers.get("X-Said") == "ab"


def test_both_keep_functions_of_their_own(gateway: Gateway) -> None:
    """The same source in both plugins of one route: two closures."""
    counter = """local count = 0
    return function(conf)
        count = count + 1
        ngx.header["X-Count-" .. conf.name] = count
    end"""
    pre = {"functions": [counter], "name": "pre"}
    path = gateway.route({NAME: {**pre, "name": "post"}, "serverless-pre-function": pre})
    for count in ("1", "2"):
        headers = gateway.ask(path).headers
        assert [headers.get(f"X-Count-{name}") for name in ("pre", "post")] == [count, count]


def test_an_error_is_a_500_and_a_line_in_the_log(gateway: Gateway) -> None:
    path = run(gateway, 'return function() error("this went wrong") end')
    assert gateway.ask(path).status == 500
    assert NAME in gateway.log
    assert "this went wrong" in gateway.log


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, 'property "functions" is required'),
        ({"functions": []}, "expect array to have at least 1 items"),
        ({"functions": [1]}, "wrong type: expected string, got number"),
        (
            {"functions": ["return function() end"], "phase": "balancer"},
            'property "phase" validation failed: matches none of the enum values',
        ),
        ({"functions": ["return 1 +"]}, "failed to loadstring: "),
        ({"functions": ["error('boo')"]}, "pcall error: "),
        ({"functions": ["local count = 1 ngx.update_time(count)"]}, "input code type is nil"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({NAME: conf})
    assert f"check the configuration of plugin {NAME} err: " in log
    assert reason in log
