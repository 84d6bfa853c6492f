"""The plugin echo as clients meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["echo", "serverless-pre-function"])


def ask(gateway: Gateway, conf: dict[str, Any]) -> Answer:
    return gateway.ask(gateway.route({"echo": conf}))


@pytest.mark.parametrize(
    ("conf", "text"),
    [
        ({"before_body": "before "}, "before hello"),
        ({"after_body": " after"}, "hello after"),
        ({"body": "instead"}, "instead"),
        ({"body": ""}, ""),
        ({"before_body": "a ", "after_body": " z"}, "a hello z"),
        ({"before_body": "a ", "body": "b", "after_body": " c"}, "a b c"),
    ],
)
def test_the_body(gateway: Gateway, conf: dict[str, str], text: str) -> None:
    answer = ask(gateway, conf)
    assert (answer.status, answer.text) == (200, text)


CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.mark.parametrize(
    ("conf", "text"),
    [
        ({"before_body": "a ", "after_body": " z"}, "a hello world z"),
        ({"body": "b"}, "b"),
        ({"before_body": "a ", "body": "b", "after_body": " c"}, "a b c"),
    ],
)
def test_a_body_in_pieces(gateway: Gateway, conf: dict[str, str], text: str) -> None:
    gateway.upstream.reply_once(200, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", CHUNKED)
    assert ask(gateway, conf).text == text


def test_a_response_without_a_body_gets_one(gateway: Gateway) -> None:
    gateway.upstream.reply_once(404, b"")
    answer = ask(gateway, {"before_body": "a", "after_body": "z"})
    assert (answer.status, answer.text) == (404, "az")


def test_what_was_said_of_the_old_body_goes(gateway: Gateway) -> None:
    fields = [("ETag", '"1"'), ("Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT")]
    gateway.upstream.reply_once(200, b"hello", [*fields, ("Content-Encoding", "x")])
    headers = ask(gateway, {"body": "b"}).headers
    for name in ("ETag", "Last-Modified", "Content-Encoding", "Content-Length"):
        assert headers.get(name) is None


def test_headers(gateway: Gateway) -> None:
    fields = [("Server", "one"), ("X-Kept", "1")]
    gateway.upstream.reply_once(200, b"hello", fields)
    conf = {"before_body": "a ", "headers": {"X-Echo": "yes", "X-Number": 12, "X-Kept": "2"}}
    answer = ask(gateway, conf)
    assert answer.text == "a hello"
    assert [answer.headers.get(name) for name in ("X-Echo", "X-Number", "X-Kept")] == [
        "yes",
        "12",
        "2",
    ]


def test_the_same_headers_on_every_response(gateway: Gateway) -> None:
    path = gateway.route({"echo": {"after_body": "!", "headers": {"Location": "https://a.b"}}})
    for _ in range(2):
        assert gateway.ask(path).headers.all("Location") == ["https://a.b"]


def test_an_answer_of_another_plugin_too(gateway: Gateway) -> None:
    say = {"functions": ["return function() return 403, 'no' end"]}
    path = gateway.route({"serverless-pre-function": say, "echo": {"before_body": "well: "}})
    answer = gateway.ask(path)
    assert (answer.status, answer.text) == (403, "well: no")


@pytest.mark.parametrize("headers", [{"": "x"}, {"X-A": True}, {"X-A": ["a"]}])
def test_headers_that_cannot_be_set(gateway: Gateway, headers: dict[str, Any]) -> None:
    answer = ask(gateway, {"body": "b", "headers": headers})
    assert (answer.status, answer.text, answer.headers.all("X-A")) == (200, "b", [])


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, "expect object to have at least 1 properties"),
        ({"headers": {"X-A": "1"}}, "object matches none of the required"),
        ({"body": 1}, 'property "body" validation failed: wrong type: expected string, got number'),
        ({"before_body": {}}, 'property "before_body" validation failed: wrong type'),
        ({"after_body": True}, 'property "after_body" validation failed: wrong type'),
        ({"body": "b", "headers": {}}, 'property "headers" validation failed'),
        ({"body": "b", "headers": "X-A: 1"}, 'property "headers" validation failed: wrong type'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"echo": conf})
    assert "check the configuration of plugin echo err: " in log
    assert reason in log
