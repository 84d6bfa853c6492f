"""What follows a 101 (Switching Protocols): bytes both ways, until either side ends."""

from collections.abc import Callable
from typing import Any

from support.app_server import AppServer
from support.http import Client
from support.upstream import Conversation, Upstream, answer_with

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Echo:
    """A script that switches protocols, then says everything back until "bye"."""

    def __init__(self, extra: bytes = b"") -> None:
        self.extra = extra

    def __call__(self, conversation: Conversation) -> None:
        head = conversation.request()
        assert b"Upgrade: x-echo\r\n" in head
        assert b"Connection: upgrade\r\n" in head.replace(b"Upgrade\r\n", b"upgrade\r\n")
        conversation.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x-echo\r\n")
        conversation.send(b"Connection: upgrade\r\nX-Also: 1\r\n\r\n" + self.extra)
        while True:
            if not conversation.held and not conversation._more():
                return
            data, conversation.held = conversation.held, b""
            conversation.send(data)
            if b"bye" in data:
                return


UPGRADE = """
    proxy = { set_header = {
        { "Host", "$http_host" }, { "Upgrade", "$http_upgrade" },
        { "Connection", "$http_connection" },
    } },
"""
ASK_UPGRADE = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x-echo\r\n\r\n"


def switch(client: Client) -> Any:
    client.send(ASK_UPGRADE)
    head = client.head()
    assert head.status == 101
    assert head.header("Upgrade") == "x-echo"
    assert head.header("Connection") == "upgrade"
    assert head.header("X-Also") == "1"
    assert head.header("Content-Length") is None
    return head


def test_a_tunnel_passes_bytes_both_ways_until_the_upstream_ends_it(
    proxy: Proxy, upstream: Serve
) -> None:
    server = proxy(upstream(Echo(b"first")).port, more=UPGRADE)
    with server.connect() as client:
        switch(client)
        assert client.read_exactly(5) == b"first"
        for size in (1, 100, 300_000):
            client.send(b"x" * size)
            assert client.read_exactly(size) == b"x" * size
        client.send("bye")
        assert client.read_all() == b"bye"
    server.log.wait_for("served: 101")


def test_a_tunnel_ends_when_the_client_goes(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(Echo())
    server = proxy(peer.port, more=UPGRADE)
    with server.connect() as client:
        switch(client)
    server.log.wait_for("served: 101")
    peer.stop()
    assert not peer.errors


def test_a_tunnel_lives_while_either_way_is_used(proxy: Proxy, upstream: Serve) -> None:
    def sink(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x-echo\r\n")
        conversation.send(b"Connection: upgrade\r\nX-Also: 1\r\n\r\n")
        conversation.read_all()

    server = proxy(upstream(sink).port, more=UPGRADE, virtual=True, proxy_read_timeout=60)
    with server.connect() as client:
        switch(client)
        for _ in range(5):
            client.send("x")
            server.advance(50)
        assert server.connections()[0] == 1
        server.advance(61)
        assert client.closed()


def test_an_upgrade_that_nobody_asked_for_is_an_error(proxy: Proxy, upstream: Serve) -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    assert proxy(upstream(answer_with(switching)).port).ask().status == 502


def test_an_upgrade_may_be_declined(proxy: Proxy, upstream: Serve) -> None:
    server = proxy(upstream(answer_with(OK, OK)).port, more=UPGRADE)
    with server.connect() as client:
        client.send(ASK_UPGRADE)
        assert client.response().text == "hi"
        assert client.ask().text == "hi"
