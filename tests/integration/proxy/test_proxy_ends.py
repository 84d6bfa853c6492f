"""Either side ends before its time: clients that go away, bodies that break, early answers."""

import threading
from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Script, Upstream, answer_with

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
go_on = threading.Event()


def forever(response: bytes = OK) -> Script:
    """Answer every request of a connection."""

    def script(conversation: Conversation) -> None:
        for _ in conversation.requests():
            conversation.send(response)

    return script


def waits(conversation: Conversation) -> None:
    """Read all that comes; never answer."""
    conversation.read_all()


@pytest.mark.parametrize("end", ["close", "shut", "reset"])
def test_a_client_that_goes_away_takes_its_upstream_request_along(
    proxy: Proxy, upstream: Serve, end: str
) -> None:
    peer = upstream(waits)
    server = proxy(peer.port)
    with server.connect() as client:
        client.send(GET)
        while not peer.accepted:
            server.ask("/", version="9.9")  # lets the worker run
        if end == "reset":
            Conversation(client.socket, 0).reset()
        elif end == "shut":
            client.shut()
            assert client.closed()
    server.log.wait_for("served: 499 upstream: -")
    peer.stop()
    assert not peer.errors


def test_a_client_that_is_gone_before_it_is_served(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(forever())
    server = proxy(peer.port)
    with server.connect() as client:
        client.send(GET)
        client.shut()
        assert client.closed()
    server.log.wait_for("served: 499 upstream: -")


def test_a_client_that_goes_away_in_the_response(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        assert conversation.closed()  # at once, not when it says more

    peer = upstream(script)
    server = proxy(peer.port)
    with server.connect() as client:
        client.send(GET)
        assert client.read_until(b"he")
    server.log.wait_for("served: 200 upstream: 200")
    peer.stop()
    assert not peer.errors


def test_a_client_that_goes_away_in_its_body(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        conversation.read_until(b"3\r\nabc\r\n")
        go_on.set()
        assert conversation.closed()  # no last chunk: the upstream must not see an end

    go_on.clear()
    peer = upstream(script)
    server = proxy(peer.port)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        assert go_on.wait(20)
    server.log.wait_for("served: 499 upstream: -")
    peer.stop()
    assert not peer.errors


BROKEN_BODIES = {
    "too large": (413, "7d1\r\n" + "x" * 2001 + "\r\n"),
    "not chunked": (400, "3\r\nabc\r\nxyz\r\n"),
    "too large after a while": (413, ("64\r\n" + "x" * 100 + "\r\n") * 21),
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_a_broken_body_ends_the_upstream_request(proxy: Proxy, upstream: Serve, name: str) -> None:
    status, body = BROKEN_BODIES[name]
    got: list[bytes] = []
    peer = upstream(lambda c: got.append(c.read_all()))
    server = proxy(peer.port, client_max_body_size=2000)
    with server.connect() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
        assert client.response().status == status
        assert client.closed()
    server.log.wait_for(f"served: {status}")
    peer.stop()
    assert not got[0].endswith(b"0\r\n\r\n")


def test_a_slow_body_is_given_up_in_time(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(waits)
    server = proxy(peer.port, virtual=True, client_body_timeout=30, proxy_read_timeout=60)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        for _ in range(5):  # each piece in time: 100 s, longer than proxy_read_timeout
            client.send("x")
            server.advance(20)
        assert server.connections()[0] == 1
        server.advance(31)
        assert client.closed()  # as nginx: a 408 without a word
    server.log.wait_for("served: 408 upstream: -")


def test_read_timeout_begins_when_the_body_is_sent(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(waits)
    server = proxy(peer.port, virtual=True, proxy_read_timeout=60)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        client.send("x")
        server.advance(50)
        client.send("x")
        server.advance(50)
        assert server.connections()[0] == 1
        assert not server.log.lines("served")
        server.advance(11)
        assert client.response().status == 504


def answers_early(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    conversation.read_all()


def test_an_answer_before_the_body_has_come(proxy: Proxy, upstream: Serve) -> None:
    server = proxy(upstream(answers_early).port)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        answer = client.response()
        assert (answer.status, answer.text) == (403, "no")
        client.send("67890" + GET)
        assert client.response().status == 403  # the rest was skipped


def closes_early(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    conversation.shut()
    assert go_on.wait(20)


def test_an_answer_of_an_upstream_that_stops_reading(proxy: Proxy, upstream: Serve) -> None:
    go_on.clear()
    server = proxy(upstream(closes_early, buffer=4096).port)
    with server.connect() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {10**9}\r\n\r\n")
        client.send(b"x" * 100_000)
        answer = client.response()
        assert (answer.status, answer.text) == (413, "no")
    go_on.set()
    server.log.wait_for("served: 413 upstream: 413")
    assert server.ask().status  # the worker lives


def both_ways(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while (size := int(conversation.read_until(b"\r\n"), 16)) > 0:
        data = conversation.read_exactly(size + 2)
        conversation.send(b"%x\r\n%s" % (size, data))
    conversation.read_until(b"\r\n")
    conversation.send(b"0\r\n\r\n")
    for _ in conversation.requests():
        conversation.send(OK)


def test_bodies_stream_in_both_directions_at_once(proxy: Proxy, upstream: Serve) -> None:
    peer = upstream(both_ways)
    server = proxy(peer.port)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.head().status == 200
        for word in (b"one", b"two", b"three"):
            client.send(b"%x\r\n%s\r\n" % (len(word), word))
            assert client.read_until(word + b"\r\n")
        client.send("0\r\n\r\n")
        assert client.read_until(b"0\r\n\r\n")
        assert client.ask().text == "hi"
    assert peer.accepted == 1


def test_nothing_is_left_open(proxy: Proxy, upstream: Serve) -> None:
    bad = answer_with(b"HTTP/1.1 200")
    peers = [upstream(script).port for script in (lambda c: c.reset(), bad, forever())]
    server = proxy(*peers, upstream_keepalive=0)
    server.ask()
    server.settle()
    before = server.descriptors()
    for _ in range(20):
        server.ask()
        with server.connect() as client:
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
    server.settle()
    assert server.descriptors() == before
