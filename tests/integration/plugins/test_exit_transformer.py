"""The plugin exit-transformer: what clients get in the place of the gateway's own answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

NAME = "exit-transformer"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With rose, who has a key."""
    gateway = start_gateway(plugins=[NAME, "key-auth", "limit-count", "serverless-pre-function"])
    gateway.put("consumers/rose", {"username": "rose", "plugins": {"key-auth": {"key": "r"}}})
    return gateway


def chunk(text: str) -> str:
    """A function of the form that the public documentation has."""
    return f"return (function(code, body, header) {text} return code, body, header end)(...)"


def change(old: int, new: int) -> str:
    return chunk(f"if code == {old} then code = {new} end")


def refusal(gateway: Gateway, *functions: str, headers: dict[str, str] | None = None) -> Answer:
    """The answer to a request without a key where one is asked for."""
    return gateway.ask(gateway.route({NAME: {"functions": [*functions]}, "key-auth": {}}), headers)


def test_a_status(gateway: Gateway) -> None:
    path = gateway.route({NAME: {"functions": [change(401, 403)]}, "key-auth": {}})
    refused = gateway.ask(path)
    assert (refused.status, refused.json()) == (403, {"message": "Missing API key in request"})
    let_in = gateway.ask(path, {"apikey": "r"})
    assert (let_in.status, let_in.text) == (200, "hello")


def test_another_status_stays(gateway: Gateway) -> None:
    assert refusal(gateway, change(404, 405)).status == 401


def test_one_after_another(gateway: Gateway) -> None:
    say = chunk("body.message = body.message .. '!'")
    answer = refusal(gateway, change(401, 402), change(402, 418), say, say)
    assert (answer.status, answer.json()) == (418, {"message": "Missing API key in request!!"})


def test_without_functions(gateway: Gateway) -> None:
    assert refusal(gateway).status == 401


def test_a_common_form(gateway: Gateway) -> None:
    """The public documentation's example: body and header by the status."""
    form = """if code and code >= 400 then
        header = header or {}
        header["X-Error-Code"] = tostring(code)
        body = { error = true, status = code,
            message = type(body) == "table" and body.message or "request failed" }
    end"""
    answer = refusal(gateway, chunk(form))
    assert answer.status == 401
    assert answer.headers.get("X-Error-Code") == "401"
    assert answer.json() == {"error": True, "status": 401, "message": "Missing API key in request"}


def test_a_text_for_a_table(gateway: Gateway) -> None:
    answer = refusal(gateway, chunk("body = 'no: ' .. body.message"))
    assert (answer.status, answer.text) == (401, "no: Missing API key in request")


def test_it_may_look_at_the_request(gateway: Gateway) -> None:
    look = chunk(
        "if ngx.req.get_headers()['content-type'] == 'application/json' then code = 405 end"
    )
    assert refusal(gateway, look).status == 401
    assert refusal(gateway, look, headers={"Content-Type": "application/json"}).status == 405


def test_limits(gateway: Gateway) -> None:
    limit = {"count": 1, "time_window": 600, "key": "remote_addr", "rejected_code": 503}
    path = gateway.route({NAME: {"functions": [change(503, 502)]}, "limit-count": limit})
    assert [gateway.ask(path).status for _ in range(2)] == [200, 502]


def test_answers_of_functions(gateway: Gateway) -> None:
    say = {"phase": "access", "functions": ["return function() return 404, 'none' end"]}
    path = gateway.route({NAME: {"functions": [change(404, 405)]}, "serverless-pre-function": say})
    answer = gateway.ask(path)
    assert (answer.status, answer.text) == (405, "none")


@contextmanager
def everywhere(gateway: Gateway, *functions: str) -> Iterator[None]:
    """As a global rule."""
    gateway.put("global_rules/1", {"id": "1", "plugins": {NAME: {"functions": [*functions]}}})
    try:
        yield
    finally:
        gateway.delete("global_rules/1")


def test_where_no_route_matches(gateway: Gateway) -> None:
    with everywhere(gateway, change(404, 405)):
        answer = gateway.ask("/no-such-route")
    assert (answer.status, answer.json()) == (405, {"error_msg": "404 Route Not Found"})


def test_an_upstreams_response_stays(gateway: Gateway) -> None:
    with everywhere(gateway, change(404, 405)):
        gateway.upstream.reply_once(404, b"theirs")
        answer = gateway.ask(gateway.route({}))
    assert (answer.status, answer.text) == (404, "theirs")


def test_one_that_fails_changes_nothing(gateway: Gateway) -> None:
    fails = chunk("code = 418; body = nil; body = body .. ''")
    answer = refusal(gateway, fails, chunk("header['X-Next'] = code"))
    assert (answer.status, answer.json()) == (401, {"message": "Missing API key in request"})
    assert answer.headers.get("X-Next") == "401"
    assert "failed to run lua code: " in gateway.log
    assert "attempt to concatenate local 'body' (a nil value)" in gateway.log


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, 'property "functions" is required'),
        ({"functions": "return ..."}, 'property "functions" validation failed: wrong type'),
        ({"functions": [1]}, "wrong type: expected string, got number"),
        ({"functions": ["return ...", "if then"]}, "unexpected symbol near 'then'"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({NAME: conf})
    assert f"check the configuration of plugin {NAME} err: " in log
    assert reason in log
