"""What few requests ask for on their way to an upstream: gzip, copies, the cache."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Upstream

GZIP = """
header_filter = function() require("resty.apisix.response").set_gzip({ compress_level = 6 }) end
"""
CACHE = """
variables = { zone = "off", no = "" },
settings = { proxy_cache_path = {
    z = { path = "PATH", levels = "2", max_size = 1000000, inactive = 60 },
} },
proxy = { cache = { zone = "$zone", key = "$uri", no_cache = "$no" } },
access = function()
    ngx.var.zone = ngx.var.arg_zone or "z"
end,
header_filter = function() ngx.header.X_Cache = ngx.var.upstream_cache_status end
"""
MIRROR = """
variables = { copy = "" },
proxy = { mirror = { url = "$copy", set_header = { { "Host", "mirrored" } } } },
access = function()
    ngx.var.copy = "http://127.0.0.1:PORT/copy" .. ngx.var.request_uri
    require("resty.apisix.client").enable_mirror()
end
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


# gzip


def test_a_stream_can_be_read_as_it_comes(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        conversation.send("Transfer-Encoding: chunked\r\n\r\n6\r\none...\r\n")
        assert conversation.read_exactly(1) == b"x"  # the client has read it
        conversation.send("3\r\ntwo\r\n0\r\n\r\n")

    server = proxy(upstream(script).port, more=GZIP)
    with server.connect() as client:
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Length: 1\r\n\r\n"
        )
        head = client.head()
        assert head.header("Content-Encoding") == "gzip"
        size = int(client.read_until(b"\r\n"), 16)
        inflate = zlib.decompressobj(31)
        assert inflate.decompress(client.read_exactly(size)) == b"one..."
        client.read_exactly(2)
        client.send("x")
        assert inflate.decompress(client.body(head).body) == b"two"
        assert inflate.eof


def test_a_proxied_head_tells_what_get_would(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")

    server = proxy(upstream(script).port, more=GZIP)
    answer = server.ask("/", "Accept-Encoding: gzip", method="HEAD")
    assert answer.header("Content-Encoding") == "gzip"
    assert answer.header("Content-Length") is None


def test_a_stream_that_breaks_off_is_not_ended(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\none...\r\n")

    server = proxy(upstream(script).port, more=GZIP)
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        assert b"\r\n0\r\n\r\n" not in client.read_all()


# mirror


def test_a_copy_and_its_original(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    seen: list[bytes] = []

    def script(conversation: Conversation) -> None:
        seen.append(conversation.request() + conversation.read_exactly(4))
        conversation.send(ANSWER)

    mirror = upstream(script)
    server = proxy(upstream(script).port, more=MIRROR.replace("PORT", str(mirror.port)))
    answer = server.ask("/a%20b?c", "X-A: 1", "Connection: close", method="POST", body=b"body")
    assert answer.text == "hello"
    server.log.wait_for("served: 200")
    server.quit()
    first, second = sorted(seen)
    assert first.startswith(b"POST /a%20b?c HTTP/1.1\r\n")
    assert second.startswith(b"POST /copy/a%20b?c HTTP/1.1\r\nHost: mirrored\r\n")
    for each in (first, second):
        assert b"\r\nX-A: 1\r\n" in each
        assert each.endswith(b"\r\nContent-Length: 4\r\n\r\nbody")


# cache


def cached(start: Callable[..., AppServer], port: int, path: Path, **settings: Any) -> AppServer:
    return start(port, more=CACHE.replace("PATH", str(path)), **settings)


def files_in(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file()]


def test_a_broken_response_leaves_no_file(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream], tmp_path: Path
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart")

    server = cached(proxy, upstream(script).port, tmp_path)
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_all().endswith(b"part")
    server.log.wait_for("served: ")
    assert files_in(tmp_path) == []


def test_a_client_that_leaves_leaves_no_file(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream], tmp_path: Path
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart")
        assert conversation.closed()

    server = cached(proxy, upstream(script).port, tmp_path)
    before = server.descriptors()
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"part")
    server.log.wait_for("served: ")
    assert files_in(tmp_path) == []
    server.settle()
    assert server.descriptors() <= before


def test_workers_share_it(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream], tmp_path: Path
) -> None:
    def script(conversation: Conversation) -> None:
        for _ in conversation.requests():
            conversation.send(ANSWER)

    port = upstream(script).port
    found = [cached(proxy, port, tmp_path).ask("/").header("X-Cache") for _ in range(2)]
    assert found == ["MISS", "HIT"]


def test_a_file_that_is_none_of_ours_is_a_miss(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream], tmp_path: Path
) -> None:
    def script(conversation: Conversation) -> None:
        for _ in conversation.requests():
            conversation.send(ANSWER)

    server = cached(proxy, upstream(script).port, tmp_path)
    assert server.ask("/").header("X-Cache") == "MISS"
    (file,) = files_in(tmp_path)
    whole = file.read_bytes()
    for damaged in (
        b"",
        b"x",
        whole[:20],
        b"\xff" * len(whole),
        whole[:13] + b"zzzzzzzz" + whole[21:],
    ):
        file.write_bytes(damaged)
        assert server.ask("/").header("X-Cache") == "MISS"
        assert server.ask("/").header("X-Cache") == "HIT"


def test_an_unknown_zone_is_an_error(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream], tmp_path: Path
) -> None:
    server = cached(proxy, upstream(lambda _: None).port, tmp_path)
    assert server.ask("/?zone=x").status == 500
    server.log.wait_for('cache "x" not found')


@pytest.mark.parametrize("zone", ["off", ""])
def test_no_zone_is_no_cache(
    proxy: Callable[..., AppServer], upstream: Callable[..., Upstream], tmp_path: Path, zone: str
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(ANSWER)

    server = cached(proxy, upstream(script).port, tmp_path)
    assert server.ask(f"/?zone={zone}").header("X-Cache") is None
    assert files_in(tmp_path) == []
