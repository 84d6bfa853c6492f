"""Connections to upstreams: kept, bounded, found stale; and either side ending before its time."""

import socket
from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Script, Upstream

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def forever(response: bytes = OK) -> Script:
    """Answer every request of a connection."""

    def script(conversation: Conversation) -> None:
        for _ in conversation.requests():
            conversation.send(response)

    return script


def test_connections_are_used_again_by_other_clients(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(forever())
    server = proxy(peer.port)
    for _ in range(10):
        assert server.ask().text == "hi"
    assert peer.accepted == 1


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close, X-Y\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ],
)
def test_connections_that_may_not_be_kept(proxy: Proxy, upstream: Serve, response: bytes) -> None:
    peer = upstream(forever(response))
    server = proxy(peer.port)
    for _ in range(3):
        assert server.ask().text == "hi"
    assert peer.accepted == 3


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
    ],
)
def test_connections_that_may_be_kept(proxy: Proxy, upstream: Serve, response: bytes) -> None:
    peer = upstream(forever(response))
    server = proxy(peer.port)
    for _ in range(3):
        assert server.ask().text == "hi"
    assert peer.accepted == 1


def test_a_worker_keeps_so_many_idle_connections(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        for _ in conversation.requests():
            assert go.recv(1)
            conversation.send(OK)

    go, tell = socket.socketpair()
    peer = upstream(script)
    server = proxy(peer.port, upstream_keepalive=2)
    with go, tell:
        for accepted in (4, 6):  # of four connections two are closed; four requests need two more
            clients = [server.connect() for _ in range(4)]
            for client in clients:
                client.send(GET)
            tell.send(b"....")
            for client in clients:
                assert client.response().text == "hi"
                client.close()
            assert peer.accepted == accepted


def test_no_connection_is_kept_when_none_may_be(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(forever())
    server = proxy(peer.port, upstream_keepalive=0)
    assert [server.ask().text for _ in range(3)] == ["hi"] * 3
    assert peer.accepted == 3


def test_a_connection_serves_so_many_requests(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(forever())
    server = proxy(peer.port, upstream_keepalive_requests=4)
    assert [server.ask().text for _ in range(8)] == ["hi"] * 8
    assert peer.accepted == 2


def test_an_idle_connection_is_closed_in_time(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(forever())
    server = proxy(peer.port, virtual=True, upstream_keepalive_timeout=30)
    server.ask()
    server.advance(29)
    server.ask()
    server.advance(29)
    server.ask()
    assert peer.accepted == 1
    server.advance(31)
    server.ask()
    assert peer.accepted == 2


KEEP = """
    balancer = function()
        assert(balancer.set_current_peer("127.0.0.1", peers[1]))
        assert(balancer.enable_keepalive(tonumber(ngx.var.arg_seconds), tonumber(ngx.var.arg_n)))
    end,
"""


def test_a_balancer_says_how_long_a_connection_is_kept(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(forever())
    server = proxy(peer.port, more=KEEP, virtual=True)
    server.ask("/?seconds=5")
    server.advance(6)
    server.ask("/")
    server.advance(6)
    server.ask("/?n=1")
    assert peer.accepted == 2
    server.ask("/?n=1")
    assert peer.accepted == 3


def test_an_idle_connection_that_says_something_is_not_used(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        for _ in conversation.requests():
            conversation.send(OK)
            assert go.recv(1)
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforeign")
            said.send(b".")

    go, tell = socket.socketpair()
    said, heard = socket.socketpair()
    peer = upstream(script)
    server = proxy(peer.port, virtual=True)
    with go, tell, said, heard:
        for _ in range(3):
            assert server.ask().text == "hi"
            tell.send(b".")
            assert heard.recv(1)
            server.advance(0)
    assert peer.accepted == 3


def dies_at(second: str) -> Script:
    """The first connection ends when it gets a second request, in the given way."""

    def script(conversation: Conversation) -> None:
        for number, head in enumerate(conversation.requests()):
            if b"ontent-Length: 5" in head and conversation.number > 1:
                conversation.read_exactly(5)
            if conversation.number == 1 and number == 1:
                return conversation.reset() if second == "reset" else None
            conversation.send(OK)
        return None

    return script


@pytest.mark.parametrize("second", ["reset", "close"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_stale_connection_is_replaced_unseen(
    proxy: Proxy, upstream: Serve, second: str, method: str
) -> None:
    peer = upstream(dies_at(second))
    server = proxy(peer.port)
    server.ask()
    assert server.ask(method=method).status == 200
    assert peer.accepted == 2
    assert "served: 200 upstream: 200 failures: - end" in server.log.wait_for("served", count=2)
    assert not server.log.lines("[error]")


def test_a_stale_connection_fails_a_post(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(dies_at("close"))
    server = proxy(peer.port)
    server.ask()
    assert server.ask(method="POST", body=b"hello").status == 502
    assert peer.accepted == 1
    assert server.ask(method="POST", body=b"hello").status == 200


def test_a_fresh_connection_that_fails_is_not_replaced(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(lambda c: c.request() and None)
    assert proxy(peer.port).ask().status == 502
    assert peer.accepted == 1
