"""Bodies of any size pass through a worker of bounded memory, as fast as the slower side."""

import socket
import threading
from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Script, Upstream

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

MEGABYTE = 1024 * 1024
SIZE = 200 * MEGABYTE
ROOM = 24 * MEGABYTE  # how much a worker may grow; a body that it gathered would be far beyond
PIECE = b"x" * 65536


def send_pieces(send: Callable[[bytes], object], size: int, chunked: bool) -> int:
    """Send a body of `size` bytes, at most until the other side goes away. Returns how much."""
    sent = 0
    try:
        while sent < size:
            send(b"10000\r\n" + PIECE + b"\r\n" if chunked else PIECE)
            sent += len(PIECE)
        if chunked:
            send(b"0\r\n\r\n")
    except (ConnectionError, TimeoutError):
        pass
    return sent


def framing(chunked: bool, size: int = SIZE) -> bytes:
    head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    return head + b"\r\n\r\n"


def download(chunked: bool) -> Script:
    def script(conversation: Conversation) -> None:
        for request in conversation.requests():
            conversation.send(b"HTTP/1.1 200 OK\r\n" + framing(chunked))
            if not request.startswith(b"HEAD "):
                send_pieces(conversation.send, SIZE, chunked)

    return script


def take(plain: socket.socket, held: bytes, count: int) -> int:
    """Read and forget until `count` bytes of x have come, framing aside. Returns them."""
    got = held.count(b"x")
    while got < count:
        piece = plain.recv(1 << 20)
        assert piece, f"the body broke off after {got} bytes"
        got += piece.count(b"x")
    return got


@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "chunked"])
@pytest.mark.parametrize("filtered", [False, True], ids=["plain", "body filter"])
def test_a_large_response_leaves_memory_alone(
    proxy: Proxy, upstream: Serve, chunked: bool, filtered: bool
) -> None:
    more = "body_filter = function() end," if filtered else ""
    server = proxy(upstream(download(chunked)).port, more=more)
    server.ask(method="HEAD")
    before = server.rss()
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head().status == 200
        assert take(client.socket, client.held, SIZE) == SIZE
    assert server.rss() - before < ROOM


@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "chunked"])
def test_a_slow_client_slows_the_upstream(proxy: Proxy, upstream: Serve, chunked: bool) -> None:
    sent: list[int] = []

    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 OK\r\n" + framing(chunked))
        conversation.socket.settimeout(1)
        sent.append(send_pieces(conversation.send, SIZE, chunked))

    peer = upstream(script)
    server = proxy(peer.port)
    before = server.rss()
    with server.connect(buffer=65536) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.head()
        while not sent:  # until the upstream has been stuck for a second
            server.connections()
        assert sent[0] < SIZE / 4
        assert server.rss() - before < ROOM


def upload(got: list[int]) -> Script:
    def script(conversation: Conversation) -> None:
        conversation.request()
        got.append(take(conversation.socket, conversation.held, SIZE))
        conversation.held = b""
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    return script


@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "chunked"])
def test_a_large_request_leaves_memory_alone(proxy: Proxy, upstream: Serve, chunked: bool) -> None:
    got: list[int] = []
    server = proxy(upstream(upload(got)).port)
    before = server.rss()
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing(chunked))
        assert send_pieces(client.send, SIZE, chunked) == SIZE
        assert client.response().status == 200
    assert got == [SIZE]
    assert server.rss() - before < ROOM


@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "chunked"])
def test_a_slow_upstream_slows_the_client(proxy: Proxy, upstream: Serve, chunked: bool) -> None:
    go_on = threading.Event()
    server = proxy(upstream(lambda c: go_on.wait(20) and None, buffer=65536).port)
    before = server.rss()
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing(chunked))
        client.socket.settimeout(1)
        assert send_pieces(client.send, SIZE, chunked) < SIZE / 4
        assert server.rss() - before < ROOM
    go_on.set()


def test_a_body_in_memory_outlives_the_wait_for_a_slow_upstream(
    proxy: Proxy, upstream: Serve
) -> None:
    go_on = threading.Event()
    got: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.request()
        assert go_on.wait(20)
        got.append(conversation.read_exactly(len(body)))
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    body = bytes(range(256)) * 65_536
    collect = """
    access = function()
        if ngx.var.uri == "/collect" then
            collectgarbage()
            collectgarbage()
            local kept = {}
            for i = 1, 20 do
                kept[i] = string.rep("-", 3000000 + i)
            end
            return ngx.exit(204)
        end
        ngx.req.read_body()
    end
    """
    port = upstream(script, buffer=4096).port
    server = proxy(port, more=collect, client_body_buffer_size=17 * MEGABYTE)
    with server.connect() as client, server.connect() as other:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing(False, len(body)) + body)
        for _ in range(3):
            assert other.ask("/collect").status == 204
        go_on.set()
        assert client.response().status == 200
    assert got == [body]


def test_many_slow_clients_at_once(proxy: Proxy, upstream: Serve) -> None:
    server = proxy(upstream(download(False)).port, proxy_read_timeout=60)
    before = server.rss()
    clients = [server.connect(buffer=16384) for _ in range(40)]
    for client in clients:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head().status == 200
    assert server.rss() - before < ROOM
    assert server.ask(method="HEAD").status == 200
    for client in clients:
        client.close()
    server.settle()


def test_pieces_pass_at_once(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in conversation.read_until(b"."):
            conversation.send(b"1\r\n%c\r\n" % event)
            conversation.read_exactly(1)

    server = proxy(upstream(script).port)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc.")
        assert client.head().status == 200  # though there is no byte of the body yet
        for event in (b"a", b"b", b"c", b"."):
            assert client.read_exactly(6) == b"1\r\n%s\r\n" % event
            client.send("-")


def test_a_body_that_an_application_reads_is_as_large_as_it_may_be(proxy: Proxy) -> None:
    more = "content = function() ngx.req.read_body() ngx.say(#ngx.req.get_body_data()) end,"
    size = 50 * MEGABYTE
    server = proxy(1, more=more, client_max_body_size=size, client_body_buffer_size=size)
    assert server.ask(method="POST", body=b"x" * 50 * MEGABYTE).text == f"{50 * MEGABYTE}\n"
