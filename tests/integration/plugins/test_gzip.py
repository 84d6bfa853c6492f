"""The plugin gzip: which responses are compressed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

TEXT = b"hello, hello, hello, hello, hello, hello, hello, hello\n"
HTML = ("Content-Type", "text/html")


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    log = {"nginx_config": {"error_log_level": "info"}}
    return start_gateway(plugins=["gzip", "response-rewrite"], **log)


def ask(
    gateway: Gateway,
    conf: dict[str, Any],
    *fields: tuple[str, str],
    body: bytes = TEXT,
    accept: str = "gzip",
    status: int = 200,
    **route: Any,
) -> Answer:
    """Ask a new route with this configuration, whose upstream answers with these fields."""
    path = gateway.route({"gzip": conf}, **route)
    gateway.upstream.reply_once(status, body, fields)
    return gateway.ask(path, {"Accept-Encoding": accept} if accept else None)


def is_gzipped(answer: Answer, body: bytes = TEXT) -> bool:
    """Whether it is; either way it must hold `body`."""
    if answer.headers.get("Content-Encoding") == "gzip":
        assert gzip.decompress(answer.body) == body
        assert "Content-Length" not in answer.headers
        return True
    assert answer.body == body
    return False


def test_html_is_compressed(gateway: Gateway) -> None:
    answer = ask(gateway, {}, HTML)
    assert is_gzipped(answer)
    assert answer.headers.get("Transfer-Encoding") == "chunked"
    assert "Vary" not in answer.headers


@pytest.mark.parametrize("accept", ["", "br", "gzip;q=0", "*", "identity"])
def test_not_for_whoever_does_not_take_it(gateway: Gateway, accept: str) -> None:
    assert not is_gzipped(ask(gateway, {}, HTML, accept=accept))


@pytest.mark.parametrize("accept", ["deflate, gzip", "gzip;q=0.1", "br;q=1.0, gzip;q=0.8, *;q=0.1"])
def test_for_whoever_takes_it(gateway: Gateway, accept: str) -> None:
    assert is_gzipped(ask(gateway, {}, HTML, accept=accept))


# types


@pytest.mark.parametrize(
    ("types", "content_type", "compressed"),
    [
        (None, "text/html", True),
        (None, "text/html; charset=utf-8", True),
        (None, "text/plain", False),
        (["text/plain", "text/css"], "text/css", True),
        (["text/plain", "text/css"], "text/html", False),
        (["text/plain"], "TEXT/plain", False),
        ("*", "application/octet-stream", True),
    ],
)
def test_types(gateway: Gateway, types: Any, content_type: str, compressed: bool) -> None:
    conf = {} if types is None else {"types": types}
    assert is_gzipped(ask(gateway, conf, ("Content-Type", content_type))) == compressed


def test_not_without_a_type(gateway: Gateway) -> None:
    assert not is_gzipped(ask(gateway, {"types": "*"}))


# min_length


@pytest.mark.parametrize(
    ("least", "length", "compressed"), [(None, 19, False), (None, 20, True), (30, 29, False)]
)
def test_min_length(gateway: Gateway, least: int | None, length: int, compressed: bool) -> None:
    body = b"a" * length
    conf = {} if least is None else {"min_length": least}
    assert is_gzipped(ask(gateway, conf, HTML, body=body), body) == compressed


def test_an_unknown_length_is_long_enough(gateway: Gateway) -> None:
    chunked = ("Transfer-Encoding", "chunked")
    answer = ask(gateway, {"min_length": 1000}, HTML, chunked, body=b"2\r\nok\r\n0\r\n\r\n")
    assert is_gzipped(answer, b"ok")


# comp_level, buffers


def test_compression_levels(gateway: Gateway) -> None:
    body = b"".join(b"%d %d;" % (i, i * i % 977) for i in range(4000))
    sizes = []
    for level in (1, 6, 9):
        answer = ask(gateway, {"comp_level": level}, HTML, body=body)
        assert is_gzipped(answer, body)
        sizes.append(len(answer.body))
    assert sizes[0] > sizes[1] >= sizes[2]


def test_buffers_and_level_are_told_in_the_log(gateway: Gateway) -> None:
    assert is_gzipped(ask(gateway, {"comp_level": 7, "buffers": {"number": 4}}, HTML))
    assert "set gzip with buffers: 4 4096, level: 7" in gateway.log


# http_version


@pytest.mark.parametrize(("least", "compressed"), [(None, False), (1.0, True), (1.1, False)])
def test_http_version(gateway: Gateway, least: float | None, compressed: bool) -> None:
    path = gateway.route({"gzip": {} if least is None else {"http_version": least}})
    gateway.upstream.reply_once(200, TEXT, [HTML])
    target = path + " HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
    assert is_gzipped(gateway.ask(target)) == compressed


# vary


@pytest.mark.parametrize(("vary", "values"), [(True, ["Accept-Encoding"]), (False, [])])
def test_vary(gateway: Gateway, vary: bool, values: list[str]) -> None:
    answer = ask(gateway, {"vary": vary}, HTML)
    assert is_gzipped(answer)
    assert answer.headers.all("Vary") == values


def test_vary_stands_beside_the_upstreams(gateway: Gateway) -> None:
    answer = ask(gateway, {"vary": True}, HTML, ("Vary", "Origin"))
    assert ", ".join(answer.headers.all("Vary")) == "Origin, Accept-Encoding"


# the response


def test_encoded_responses_are_left_alone(gateway: Gateway) -> None:
    answer = ask(gateway, {}, HTML, ("Content-Encoding", "br"))
    assert answer.headers.get("Content-Encoding") == "br"
    assert answer.body == TEXT


@pytest.mark.parametrize(
    ("status", "compressed"), [(200, True), (403, True), (404, True), (201, False), (500, False)]
)
def test_statuses(gateway: Gateway, status: int, compressed: bool) -> None:
    assert is_gzipped(ask(gateway, {}, HTML, status=status)) == compressed


def test_the_tag_becomes_weak(gateway: Gateway) -> None:
    tag = ("ETag", '"abc"')
    assert ask(gateway, {}, HTML, tag).headers.get("ETag") == 'W/"abc"'
    assert ask(gateway, {}, HTML, tag, accept="").headers.get("ETag") == '"abc"'


def test_a_long_body(gateway: Gateway) -> None:
    body = b"".join(b"line %d\n" % i for i in range(100_000))
    assert is_gzipped(ask(gateway, {}, HTML, body=body), body)


def test_what_other_plugins_make_of_the_body_is_compressed(gateway: Gateway) -> None:
    other = {"response-rewrite": {"body": "changed " * 20}}
    path = gateway.route({"gzip": {}, **other})
    gateway.upstream.reply_once(200, TEXT, [HTML])
    answer = gateway.ask(path, {"Accept-Encoding": "gzip"})
    assert is_gzipped(answer, b"changed " * 20)


# configuration


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({"comp_level": 0}, 'property "comp_level" validation failed: expected 0 to be at least 1'),
        ({"comp_level": 10}, "expected 10 to be at most 9"),
        ({"http_version": 2}, 'property "http_version" validation failed'),
        ({"types": []}, 'property "types" validation failed: object matches none of the required'),
        ({"types": "text/html"}, "object matches none of the required"),
        ({"min_length": 0}, 'property "min_length" validation failed'),
        ({"buffers": {"number": 0}}, 'property "buffers" validation failed'),
        ({"buffers": {"size": 0}}, 'property "size" validation failed'),
        ({"vary": 1}, "wrong type: expected boolean, got number"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], complaint: str
) -> None:
    assert complaint in gateway.complaint({"gzip": conf})
