"""The plugin brotli: which responses are compressed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

TEXT = b"hello, hello, hello, hello, hello, hello, hello, hello\n"
HTML = ("Content-Type", "text/html")
ROOM = 1 << 22

try:
    DECODER = ctypes.CDLL("libbrotlidec.so.1")
except OSError:
    pytest.skip("no libbrotlidec: install Debian's package libbrotli1", allow_module_level=True)


def decompress(data: bytes) -> bytes:
    room, size = ctypes.create_string_buffer(ROOM), ctypes.c_size_t(ROOM)
    args = (ctypes.c_size_t(len(data)), data, ctypes.byref(size), room)
    assert DECODER.BrotliDecoderDecompress(*args) == 1
    return room.raw[: size.value]


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["brotli", "gzip"])


def ask(
    gateway: Gateway,
    conf: dict[str, Any],
    *fields: tuple[str, str],
    body: bytes = TEXT,
    accept: str = "br",
    others: dict[str, Any] | None = None,
) -> Answer:
    """Ask a new route with this configuration, whose upstream answers with these fields."""
    path = gateway.route({"brotli": conf, **(others or {})})
    gateway.upstream.reply_once(200, body, fields)
    return gateway.ask(path, {"Accept-Encoding": accept} if accept else None)


def is_compressed(answer: Answer, body: bytes = TEXT) -> bool:
    """Whether it is; either way it must hold `body`."""
    if answer.headers.get("Content-Encoding") == "br":
        assert decompress(answer.body) == body
        assert "Content-Length" not in answer.headers
        return True
    assert answer.body == body
    return False


@pytest.mark.parametrize(
    ("accept", "compressed"),
    [
        ("br", True),
        ("*", True),
        ("gzip, br", True),
        ("gzip;q=0.5, br;q=0.1", True),
        ("", False),
        ("gzip", False),
        ("br;q=0", False),
        ("gzip, br;q=0", False),
    ],
)
def test_whoever_accepts_it_gets_it(gateway: Gateway, accept: str, compressed: bool) -> None:
    assert is_compressed(ask(gateway, {}, HTML, accept=accept)) == compressed


@pytest.mark.parametrize(
    ("types", "content_type", "compressed"),
    [
        (None, "text/html; charset=utf-8", True),
        (None, "text/plain", False),
        (["text/css"], "text/css", True),
        ("*", "application/json", True),
    ],
)
def test_types(gateway: Gateway, types: Any, content_type: str, compressed: bool) -> None:
    conf = {} if types is None else {"types": types}
    assert is_compressed(ask(gateway, conf, ("Content-Type", content_type))) == compressed


def test_not_without_a_type(gateway: Gateway) -> None:
    assert not is_compressed(ask(gateway, {"types": "*"}))


@pytest.mark.parametrize(("length", "compressed"), [(19, False), (20, True)])
def test_min_length(gateway: Gateway, length: int, compressed: bool) -> None:
    body = b"a" * length
    assert is_compressed(ask(gateway, {}, HTML, body=body), body) == compressed


@pytest.mark.parametrize(
    "conf", [{"comp_level": 0}, {"comp_level": 11}, {"mode": 1}, {"lgwin": 10, "lgblock": 16}]
)
def test_how_it_is_compressed(gateway: Gateway, conf: dict[str, Any]) -> None:
    body = b"".join(b"line %d\n" % i for i in range(20_000))
    assert is_compressed(ask(gateway, conf, HTML, body=body), body)


def test_http_version(gateway: Gateway) -> None:
    for conf, compressed in [({}, False), ({"http_version": 1.0}, True)]:
        path = gateway.route({"brotli": conf})
        gateway.upstream.reply_once(200, TEXT, [HTML])
        target = path + " HTTP/1.0\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n"
        assert is_compressed(gateway.ask(target)) == compressed


@pytest.mark.parametrize(("vary", "values"), [(True, ["Accept-Encoding"]), (False, [])])
def test_vary(gateway: Gateway, vary: bool, values: list[str]) -> None:
    answer = ask(gateway, {"vary": vary}, HTML)
    assert is_compressed(answer)
    assert answer.headers.all("Vary") == values


@pytest.mark.parametrize(
    ("tag", "expected"), [('"a"', 'W/"a"'), ('W/"a"', 'W/"a"'), ("unquoted", None)]
)
def test_tags_become_weak(gateway: Gateway, tag: str, expected: str | None) -> None:
    assert ask(gateway, {}, HTML, ("ETag", tag)).headers.get("ETag") == expected


def test_encoded_responses_are_left_alone(gateway: Gateway) -> None:
    answer = ask(gateway, {}, HTML, ("Content-Encoding", "deflate"))
    assert answer.headers.get("Content-Encoding") == "deflate"
    assert answer.body == TEXT


def test_it_goes_before_gzip(gateway: Gateway) -> None:
    answer = ask(gateway, {}, HTML, accept="gzip, br", others={"gzip": {}})
    assert is_compressed(answer)
    answer = ask(gateway, {}, HTML, accept="gzip", others={"gzip": {}})
    assert answer.headers.get("Content-Encoding") == "gzip"


@pytest.mark.parametrize(
    "conf",
    [{"comp_level": 12}, {"mode": 3}, {"lgwin": 9}, {"lgblock": 1}, {"types": []}, {"vary": 1}],
)
def test_configurations_that_are_refused(gateway: Gateway, conf: dict[str, Any]) -> None:
    (name,) = conf
    assert f'property "{name}" validation failed' in gateway.complaint({"brotli": conf})
