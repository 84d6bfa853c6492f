"""The plugin response-rewrite as clients meet it."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer


def ask(
    gateway: Gateway,
    conf: dict[str, Any],
    body: bytes = b"hello world",
    *fields: tuple[str, str],
    status: int = 200,
    tail: str = "",
) -> Answer:
    """The response that comes of rewriting the upstream's."""
    gateway.upstream.reply_once(status, body, fields)
    return gateway.ask(gateway.route({"response-rewrite": conf}) + tail)


def test_status_code(gateway: Gateway) -> None:
    answer = ask(gateway, {"status_code": 418})
    assert (answer.status, answer.text) == (418, "hello world")


# body


def test_body(gateway: Gateway) -> None:
    answer = ask(gateway, {"body": '{"code":"ok"}'}, b"hello", ("Content-Type", "text/x"))
    assert answer.json() == {"code": "ok"}
    assert answer.headers.get("Content-Type") == "text/x"
    assert answer.headers.get("Content-Length") in (None, "13")


def test_an_empty_body(gateway: Gateway) -> None:
    assert ask(gateway, {"body": ""}).body == b""


def test_body_in_the_place_of_a_long_one(gateway: Gateway) -> None:
    assert ask(gateway, {"body": "short"}, b"x" * 1_000_000).text == "short"


def test_what_tells_of_the_upstreams_body_is_dropped(gateway: Gateway) -> None:
    described = [
        ("ETag", '"1"'),
        ("Last-Modified", "Tue, 01 Jan 2030 00:00:00 GMT"),
        ("Content-Encoding", "gzip"),
    ]
    answer = ask(gateway, {"body": "x"}, gzip.compress(b"hello"), *described, ("X-Kept", "1"))
    assert answer.text == "x"
    assert [name for name, _ in described if name in answer.headers] == []
    assert answer.headers.get("X-Kept") == "1"


def test_body_base64(gateway: Gateway) -> None:
    data = bytes(range(256))
    conf = {"body": base64.b64encode(data).decode(), "body_base64": True}
    assert ask(gateway, conf).body == data
    assert ask(gateway, {**conf, "body_base64": False}).text == conf["body"]


def test_bodies_that_the_gateway_makes_are_rewritten_too(gateway: Gateway) -> None:
    conf = {"body": "so sorry", "headers": {"set": {"X-Why": "key"}}}
    answer = gateway.ask(gateway.route({"key-auth": {}, "response-rewrite": conf}))
    assert (answer.status, answer.text) == (401, "so sorry")
    assert answer.headers.get("X-Why") == "key"


# headers


def test_names_and_values_are_set(gateway: Gateway) -> None:
    conf = {"headers": {"X-A": "new", "X-Number": 3, "Content-Type": "text/y"}}
    sent = [("X-A", "1"), ("X-A", "2"), ("X-B", "b"), ("Content-Type", "text/x")]
    answer = ask(gateway, conf, b"", *sent)
    assert answer.headers.all("X-A") == ["new"]
    assert answer.headers.get("X-Number") == "3"
    assert answer.headers.get("X-B") == "b"
    assert answer.headers.get("Content-Type") == "text/y"


def test_an_empty_value_removes(gateway: Gateway) -> None:
    answer = ask(gateway, {"headers": {"X-A": ""}}, b"", ("X-A", "1"))
    assert answer.headers.get("X-A") in (None, "")


def test_add(gateway: Gateway) -> None:
    added = ["Set-Cookie: b=2; Path=/x; Max-Age=9", "X-A:2", "Set-Cookie: c = 3"]
    answer = ask(gateway, {"headers": {"add": added}}, b"", ("Set-Cookie", "a=1"), ("X-A", "1"))
    assert answer.headers.all("Set-Cookie") == ["a=1", "b=2; Path=/x; Max-Age=9", "c = 3"]
    assert answer.headers.all("X-A") == ["1", "2"]


def test_set_and_remove(gateway: Gateway) -> None:
    conf = {"headers": {"set": {"X-A": "2", "X-New": 1}, "remove": ["x-b", "X-Absent"]}}
    answer = ask(gateway, conf, b"", ("X-A", "1"), ("X-B", "1"), ("X-B", "2"))
    assert answer.headers.all("X-A") == ["2"]
    assert answer.headers.all("X-New") == ["1"]
    assert answer.headers.all("X-B") == []


def test_first_add_then_set_last_remove(gateway: Gateway) -> None:
    both = {"add": ["X-A: added"], "set": {"X-A": "set"}}
    assert ask(gateway, {"headers": both}).headers.all("X-A") == ["set"]
    assert ask(gateway, {"headers": {**both, "remove": ["X-A"]}}).headers.all("X-A") == []


def test_values_with_variables(gateway: Gateway) -> None:
    conf = {
        "headers": {
            "set": {"X-A": "$status $remote_addr", "X-Up": "$upstream_addr", "X-No": "<$absent>"},
            "add": ["X-B: $arg_b"],
        }
    }
    answer = ask(gateway, conf, b"", status=201, tail="?b=arg")
    assert answer.headers.get("X-A") == "201 127.0.0.1"
    assert answer.headers.get("X-B") == "arg"
    assert answer.headers.get("X-Up") == gateway.upstream.node
    assert answer.headers.get("X-No") == "<>"


def test_a_redirect(gateway: Gateway) -> None:
    answer = ask(
        gateway, {"status_code": 302, "headers": {"Location": "http://x.com/"}, "body": ""}
    )
    assert answer.status == 302
    assert answer.headers.get("Location") == "http://x.com/"


# vars


def test_vars_decide_which_responses_are_rewritten(gateway: Gateway) -> None:
    conf = {
        "vars": [["status", "==", 500]],
        "status_code": 503,
        "body": "later",
        "headers": {"A": "b"},
    }
    path = gateway.route({"response-rewrite": conf})
    answer = gateway.ask(path)
    assert (answer.status, answer.text, answer.headers.get("A")) == (200, "hello", None)
    gateway.upstream.reply_once(500, b"oops")
    answer = gateway.ask(path)
    assert (answer.status, answer.text, answer.headers.get("A")) == (503, "later", "b")


def test_vars_may_ask_for_the_request(gateway: Gateway) -> None:
    conf = {"vars": [["arg_a", "==", "1"], ["http_x", "~~", "^y"]], "body": "rewritten"}
    path = gateway.route({"response-rewrite": conf})
    assert gateway.ask(f"{path}?a=1", {"X": "yes"}).text == "rewritten"
    assert gateway.ask(f"{path}?a=2", {"X": "yes"}).text == "hello"
    assert gateway.ask(f"{path}?a=1", {"X": "no"}).text == "hello"


# filters


def test_filters_once_and_global(gateway: Gateway) -> None:
    once = {"regex": "o", "replace": "0"}
    assert ask(gateway, {"filters": [once]}).text == "hell0 world"
    assert ask(gateway, {"filters": [{**once, "scope": "once"}]}).text == "hell0 world"
    assert ask(gateway, {"filters": [{**once, "scope": "global"}]}).text == "hell0 w0rld"


def test_filters_run_one_after_the_other(gateway: Gateway) -> None:
    filters = [{"regex": "hello", "replace": "HELLO"}, {"regex": "L", "replace": "T"}]
    assert ask(gateway, {"filters": filters}).text == "HETLO world"


def test_filters_with_captures_options_and_nothing(gateway: Gateway) -> None:
    swap = {"regex": "(\\w+) (\\w+)", "replace": "$2 ${1}!"}
    assert ask(gateway, {"filters": [swap]}).text == "world hello!"
    caseless = {"regex": "HELLO", "replace": "bye", "options": "ijo"}
    assert ask(gateway, {"filters": [caseless]}).text == "bye world"
    assert ask(gateway, {"filters": [{"regex": "HELLO", "replace": "x"}]}).text == "hello world"
    assert ask(gateway, {"filters": [{"regex": " world", "replace": ""}]}).text == "hello"


def test_filters_see_the_whole_body(gateway: Gateway) -> None:
    body = b"x" * 300_000 + b"hello" + b"x" * 300_000
    answer = ask(gateway, {"filters": [{"regex": "hello", "replace": "bye"}]}, body)
    assert answer.body == body.replace(b"hello", b"bye")


def test_filters_of_a_chunked_body(gateway: Gateway) -> None:
    chunks = b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    conf = {"filters": [{"regex": "hello", "replace": "bye"}]}
    assert ask(gateway, conf, chunks, ("Transfer-Encoding", "chunked")).text == "bye"


def test_filters_of_an_empty_body(gateway: Gateway) -> None:
    answer = ask(gateway, {"filters": [{"regex": "^", "replace": "x"}]}, b"", status=204)
    assert (answer.status, answer.body) == (204, b"")


def test_filters_unzip(gateway: Gateway) -> None:
    conf = {"filters": [{"regex": "hello", "replace": "bye"}]}
    answer = ask(gateway, conf, gzip.compress(b"hello"), ("Content-Encoding", "gzip"))
    assert answer.text == "bye"
    assert "Content-Encoding" not in answer.headers


def test_filters_of_an_encoding_that_nobody_knows(gateway: Gateway) -> None:
    conf = {"filters": [{"regex": "hello", "replace": "bye"}]}
    answer = ask(gateway, conf, b"hello", ("Content-Encoding", "snappy"))
    assert answer.text == "hello"
    message = (
        "filters may not work as expected due to unsupported compression encoding type: snappy"
    )
    assert message in gateway.log


def test_filters_of_a_body_that_is_not_what_it_says(gateway: Gateway) -> None:
    conf = {"filters": [{"regex": "hello", "replace": "bye"}]}
    assert ask(gateway, conf, b"hello", ("Content-Encoding", "gzip")).status == 200
    assert "filters may not work as expected: inflate gzip err: " in gateway.log


def test_without_body_or_filters_the_encoding_stays(gateway: Gateway) -> None:
    body = gzip.compress(b"hello")
    answer = ask(gateway, {"headers": {"A": "b"}}, body, ("Content-Encoding", "gzip"))
    assert answer.body == body
    assert answer.headers.get("Content-Encoding") == "gzip"


def test_max_resp_body_size_cuts_the_body(gateway: Gateway) -> None:
    conf = {"filters": [{"regex": "o", "replace": "0"}], "max_resp_body_size": 5}
    assert ask(gateway, conf, b"hello world").text == "hell0"


def test_vars_hold_for_filters_too(gateway: Gateway) -> None:
    conf = {"vars": [["status", "==", 200]], "filters": [{"regex": "hello", "replace": "bye"}]}
    assert ask(gateway, conf).text == "bye world"
    assert ask(gateway, conf, status=404).text == "hello world"


# refused configurations


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        (
            {"status_code": 599},
            'property "status_code" validation failed: expected 599 to be at most 598',
        ),
        (
            {"status_code": 199},
            'property "status_code" validation failed: expected 199 to be at least 200',
        ),
        ({"body": 2}, 'property "body" validation failed: wrong type: expected string, got number'),
        ({"headers": {"": "x"}}, "invalid field length in header"),
        ({"headers": {"A": ["x"]}}, "invalid type as header value"),
        ({"headers": {"add": ["no colon"]}}, 'property "headers" validation failed'),
        ({"headers": {"remove": ["a:b"]}}, 'property "headers" validation failed'),
        ({"body_base64": True}, "invalid base64 content"),
        ({"body_base64": True, "body": ""}, "invalid base64 content"),
        ({"body_base64": True, "body": "*"}, "invalid base64 content"),
        ({"vars": [["status", "?", 200]]}, "failed to validate the 'vars' expression: "),
        (
            {"filters": []},
            'property "filters" validation failed: expect array to have at least 1 items',
        ),
        (
            {"filters": [{"regex": "x"}]},
            'property "filters" validation failed: failed to validate item 1: property "replace" is'
            " required",
        ),
        (
            {"filters": [{"regex": "", "replace": "x"}]},
            'property "filters" validation failed: failed to validate item 1: property "regex" '
            "validation failed: string too short, expected at least 1, got 0",
        ),
        (
            {"filters": [{"regex": "x", "replace": "x", "scope": "two"}]},
            'property "filters" validation failed: failed to validate item 1: property "scope" '
            "validation failed: matches none of the enum values",
        ),
        (
            {"filters": [{"regex": "hello", "replace": "x", "options": "h"}]},
            'regex "hello" validation failed: unknown flag "h" (flags "h")',
        ),
        ({"body": "x", "filters": [{"regex": "x", "replace": "y"}]}, ""),
        ({"max_resp_body_size": 0}, 'property "max_resp_body_size" validation failed'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"response-rewrite": conf})
    assert f"failed to check the configuration of plugin response-rewrite err: {reason}" in log
