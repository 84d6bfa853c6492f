"""The order of a request through the plugins, and what one of them can do to it."""

from collections.abc import Callable
from http.client import IncompleteRead
from typing import Any

import pytest


@pytest.fixture(scope="module")
def gateway(module_start: Callable[..., Any], upstream: Any) -> Any:
    def route(name: str, plugins: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
        nodes = {"type": "roundrobin", "nodes": {upstream.node: 1}}
        return f"routes/{name}", {"uri": f"/{name}", "plugins": plugins, "upstream": nodes, **more}

    def answers(phase: str, **answer: Any) -> dict[str, Any]:
        return {"t-order": {"answer": {"phase": phase, **answer}}, "t-late": {}}

    return module_start(
        dict(
            [
                route("order", {"t-late": {}, "t-order": {}}),
                route("moved", {"t-late": {"_meta": {"priority": 500}}, "t-order": {}}),
                route("off", {"t-late": {}, "t-order": {"_meta": {"disable": True}}}),
                route("sometimes", {
                    "t-late": {},
                    "t-order": {"_meta": {"filter": [["arg_on", "==", "1"]]}},
                }),
                route("rewrite", answers("rewrite", code=401, body={"why": "so"})),
                route("access", answers("access", code=503, body="busy")),
                route("before_proxy", answers("before_proxy", code=200, body="mine")),
                route("codeless", answers("access", body="no code")),
                route("hidden", {
                    "t-order": {
                        "answer": {"phase": "access", "code": 403, "body": "the reason"},
                        "_meta": {"error_response": {"message": "no"}},
                    },
                }),
                route("before", {
                    "t-order": {"_meta": {
                        "pre_function": "return function(conf, ctx)"
                        " ngx.req.set_header('X-Pre', conf.count) end",
                    }},
                }),
                route("before-fails", {
                    "t-order": {"_meta": {"pre_function": "return function() error('oh') end"}},
                }),
                route("skip", {"t-order": {"skips": "t-late"}, "t-late": {}}),
                *[
                    route(f"fails-{phase}", {"t-order": {"fails_in": phase}, "t-late": {}})
                    for phase in ("rewrite", "access", "before_proxy", "header_filter", "log")
                ],
                route("body", {"t-body": {}, "t-order": {}}),
                route("body-fails", {"t-body": {"fails": True}}),
                route("script", {}, script="return {access = function() ngx.exit(418) end}"),
            ]
        )
        | {"routes/script": {
            "uri": "/script", "upstream": {"type": "roundrobin", "nodes": {upstream.node: 1}},
            "script": "return {access = function() ngx.exit(418) end}",
        }},
        {"apisix": {"enable_debug": True}},
    )  # fmt: skip


def order(answer: Any) -> list[str]:
    return list(answer.headers["X-Order"].split())


def test_plugins_run_by_descending_priority_in_each_phase(gateway: Any) -> None:
    assert order(gateway.ask("/order")) == [
        "t-order.rewrite", "t-late.rewrite", "t-order.access", "t-late.access",
        "t-order.before_proxy", "t-late.before_proxy",
        "t-order.header_filter", "t-late.header_filter",
    ]  # fmt: skip


def test_meta_priority_reorders_the_plugins_of_its_object(gateway: Any) -> None:
    assert order(gateway.ask("/moved"))[:2] == ["t-late.rewrite", "t-order.rewrite"]


def test_a_disabled_plugin_does_not_run(gateway: Any) -> None:
    assert not [step for step in order(gateway.ask("/off")) if step.startswith("t-order")]


@pytest.mark.parametrize(("query", "runs"), [("?on=1", True), ("", False)])
def test_meta_filter_decides_by_the_request(gateway: Any, query: str, runs: bool) -> None:
    assert ("t-order.rewrite" in order(gateway.ask(f"/sometimes{query}"))) is runs


@pytest.mark.parametrize(
    ("phase", "status", "body"),
    [("rewrite", 401, '{"why":"so"}\n'), ("access", 503, "busy"), ("before_proxy", 200, "mine")],
)
def test_a_plugin_that_returns_a_code_answers_the_request(
    gateway: Any, upstream: Any, phase: str, status: int, body: str
) -> None:
    asked = upstream.asked
    answer = gateway.ask(f"/{phase}")
    assert (answer.status, answer.body) == (status, body)
    assert upstream.asked == asked
    assert f"t-late.{phase}" not in order(answer)
    assert order(answer)[-2:] == ["t-order.header_filter", "t-late.header_filter"]


def test_a_body_without_a_code_is_the_plugins_mistake(gateway: Any) -> None:
    assert gateway.ask("/codeless").status == 500
    failed = "plugin [t-order] failed in phase access (route codeless): "
    assert f"{failed}it returned a body without" in gateway.log()


def test_error_response_hides_what_the_plugin_says(gateway: Any) -> None:
    answer = gateway.ask("/hidden")
    assert (answer.status, answer.body) == (403, '{"message":"no"}\n')


def test_pre_function_runs_before_the_plugin(gateway: Any) -> None:
    assert gateway.ask("/before").seen["x-pre"] == "7"


def test_a_failing_pre_function_is_only_logged(gateway: Any) -> None:
    assert gateway.ask("/before-fails").status == 200
    assert "pre_function execution for plugin t-order failed: " in gateway.log()


def test_a_plugin_may_be_skipped_for_the_rest_of_the_request(gateway: Any) -> None:
    assert not [step for step in order(gateway.ask("/skip")) if step.startswith("t-late")]


@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy", "header_filter"])
def test_an_error_in_a_plugin_is_a_500_that_names_it(gateway: Any, phase: str) -> None:
    assert gateway.ask(f"/fails-{phase}").status == 500
    log = gateway.log()
    at = log.rindex(f"plugin [t-order] failed in phase {phase} (route fails-{phase}): ")
    assert "broken on purpose\nstack traceback:\n" in log[at : at + 300]
    assert "t_recorder.lua" in log[at : at + 600]
    assert gateway.ask("/order").status == 200


def test_an_error_in_the_log_phase_harms_nobody(gateway: Any) -> None:
    assert gateway.ask("/fails-log").status == 200
    failed = "plugin [t-order] failed in phase log (route fails-log): "
    gateway.until(lambda: failed in gateway.log())


def test_body_filters_see_the_body_then_the_delayed_ones(gateway: Any) -> None:
    body = gateway.ask("/body").body
    assert body[0] == "<"
    assert body[1] == "{"
    assert body[-2:] == "}>"


def test_an_unfiltered_body_does_not_go_out_when_its_filter_fails(gateway: Any) -> None:
    body = b""
    try:
        answer = gateway.ask("/body-fails")
    except IncompleteRead as cut:  # the head was on its way before the body came
        body = cut.partial
    else:
        assert answer.status == 500
        body = answer.body.encode()
    assert b"node" not in body
    assert "plugin [t-body] failed in phase body_filter (route body-fails): " in gateway.log()


def test_the_debug_header_lists_what_runs_in_order(gateway: Any) -> None:
    assert gateway.ask("/order").headers["Apisix-Plugins"].split(", ") == [
        "t-order#rewrite", "t-late#rewrite", "t-order#access", "t-late#access",
        "t-order#before_proxy", "t-late#before_proxy",
        "t-order#header_filter", "t-late#header_filter", "t-order#log", "t-late#log",
    ]  # fmt: skip


def test_a_script_stands_in_for_plugins(gateway: Any) -> None:
    assert gateway.ask("/script").status == 418


def test_the_gateway_names_itself(gateway: Any) -> None:
    assert gateway.ask("/order").headers["Server"] == "APISIX/3.18.0"
