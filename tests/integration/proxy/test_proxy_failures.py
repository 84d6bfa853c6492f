"""What a client gets, and the log, when an upstream fails: in every way that it can."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
from support.app_server import AppServer
from support.http import Truncated
from support.upstream import Conversation, Script, Upstream, answer_with

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def reset(conversation: Conversation) -> None:
    conversation.request()
    conversation.reset()


def close(conversation: Conversation) -> None:
    conversation.request()


# Script of the upstream -> what the log says.
BEFORE_THE_BODY: dict[str, tuple[Script, str]] = {
    "reset at once": (lambda c: c.reset(), "upstream"),
    "reset after the request": (reset, "connection reset by peer"),
    "closed after the request": (
        close,
        "prematurely closed connection while reading response header",
    ),
    "closed in the status line": (answer_with(b"HTTP/1.1 20"), "prematurely closed"),
    "closed in a field": (answer_with(b"HTTP/1.1 200 OK\r\nX: "), "prematurely closed"),
    "closed before the empty line": (
        answer_with(b"HTTP/1.1 200 OK\r\nX: y\r\n"),
        "prematurely closed",
    ),
    "closed after an interim response": (
        answer_with(b"HTTP/1.1 100 Continue\r\n\r\n"),
        "prematurely closed",
    ),
    "interim responses without end": (
        answer_with(b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
        "sent invalid header",
    ),
    "not HTTP": (answer_with(b"SSH-2.0-x\r\n\r\n"), "sent invalid header"),
    "not HTTP, and waiting": (
        lambda c: (c.request(), c.send(b"220 smtp\r\n"), c.read_all())[0],
        "timed out",
    ),
    "HTTP/0.9": (answer_with(b"<html></html>\n"), "sent invalid header"),
    "HTTP/2": (answer_with(b"HTTP/2 200\r\n\r\n"), "sent invalid header"),
    "status of two digits": (answer_with(b"HTTP/1.1 20 OK\r\n\r\n"), "sent invalid header"),
    "status of letters": (answer_with(b"HTTP/1.1 2xx OK\r\n\r\n"), "sent invalid header"),
    "status below 100": (answer_with(b"HTTP/1.1 099 OK\r\n\r\n"), "sent invalid header"),
    "bare LFs": (answer_with(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"), "sent invalid header"),
    "no name": (answer_with(b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"), "sent invalid header"),
    "space before the colon": (
        answer_with(b"HTTP/1.1 200 OK\r\nX : x\r\n\r\n"),
        "sent invalid header",
    ),
    "folded field": (answer_with(b"HTTP/1.1 200 OK\r\nX: x\r\n y\r\n\r\n"), "sent invalid header"),
    "NUL in a value": (answer_with(b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n"), "sent invalid header"),
    "two lengths": (
        answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"),
        "sent invalid header",
    ),
    "length that is none": (
        answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi"),
        "sent invalid header",
    ),
    "both framings": (
        answer_with(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        "sent invalid header",
    ),
    "unknown coding": (
        answer_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        "sent invalid header",
    ),
    "head too large": (
        answer_with(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 50_000 + b"\r\n\r\n"),
        "sent too big header",
    ),
    "head without end": (answer_with(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), "too big header"),
}


@pytest.mark.parametrize("name", BEFORE_THE_BODY)
def test_a_failure_before_the_body_is_a_502(proxy: Proxy, upstream: Serve, name: str) -> None:
    script, message = BEFORE_THE_BODY[name]
    server = proxy(upstream(script).port, proxy_read_timeout=0.2)
    with server.connect() as client:
        status = 504 if message == "timed out" else 502
        assert client.ask().status == status
        assert message in server.log.wait_for(f"served: {status} upstream: {status}")
        assert client.ask().status == status  # on the same connection


def test_nobody_listens(proxy: Proxy, refusing_port: int) -> None:
    server = proxy(refusing_port)
    assert server.ask().status == 502
    log = server.log.wait_for("served: 502")
    assert "connect() failed (111: Connection refused) while connecting to upstream" in log
    assert f'upstream: "http://127.0.0.1:{refusing_port}/"' in log


FIXED = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

IN_THE_BODY: dict[str, bytes] = {
    "closed in a body of known length": FIXED,
    "closed before the first byte": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "closed in a chunk": CHUNKED + b"a\r\nhello",
    "closed after a chunk": CHUNKED + b"5\r\nhello\r\n",
    "closed in the last chunk": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "bad chunk size": CHUNKED + b"5\r\nhello\r\nxyz\r\n0\r\n\r\n",
    "no line end after a chunk": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "bad trailer": CHUNKED + b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("name", IN_THE_BODY)
def test_a_body_that_breaks_off_never_looks_whole(
    proxy: Proxy, upstream: Serve, name: str, version: str
) -> None:
    server = proxy(upstream(answer_with(IN_THE_BODY[name])).port)
    with server.connect() as client:
        client.send(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n")
        received, reset = b"", False
        try:
            while piece := client.socket.recv(65536):
                received += piece
        except ConnectionResetError:
            reset = True
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"hello".startswith(body.replace(b"5\r\n", b"").strip())
    if b"Content-Length: " not in head and b"chunked" not in head:
        assert reset  # where the connection's end would be the body's
    assert not body.endswith(b"0\r\n\r\n")
    assert "while reading upstream" in server.log.wait_for("served: 200")


def test_a_reset_in_the_body(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(FIXED)
        assert conversation.read_exactly(1)  # the client has the beginning
        conversation.reset()

    server = proxy(upstream(script).port)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        head = client.head()
        assert client.read_exactly(5) == b"hello"
        client.send("x")
        with pytest.raises(Truncated):
            client.body(head)


def test_a_silent_upstream_is_a_504_after_read_timeout(proxy: Proxy, upstream: Serve) -> None:
    server = proxy(
        upstream(lambda c: c.read_all() and None).port, virtual=True, proxy_read_timeout=60
    )
    with server.connect() as client:
        client.send(GET)
        server.advance(59.9)
        assert server.connections() == (1, 0)
        assert not server.log.lines("timed out")
        server.advance(0.2)
        assert client.response().status == 504
    log = server.log.wait_for("served: 504 upstream: 504")
    assert "upstream timed out (110: Connection timed out) while reading response header" in log


def test_the_read_timeout_is_one_of_silence_not_of_the_whole(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 4\r\n\r\n", b"a", b"b", b"c", b"d"):
            assert go.recv(1)
            conversation.send(piece)
            said.send(b".")

    go, tell = socket.socketpair()
    said, heard = socket.socketpair()
    server = proxy(upstream(script).port, virtual=True, proxy_read_timeout=60)
    with server.connect() as client, go, tell, said, heard:
        client.send(GET)
        for _ in range(6):
            server.advance(50)
            tell.send(b".")
            assert heard.recv(1)
        server.advance(0)
        assert client.response().text == "abcd"


def test_silence_in_the_body_breaks_it_off(proxy: Proxy, upstream: Serve) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(FIXED)
        conversation.read_all()

    server = proxy(upstream(script).port, virtual=True, proxy_read_timeout=60)
    with server.connect() as client:
        client.send(GET)
        head = client.head()
        assert client.read_exactly(5) == b"hello"
        server.advance(61)
        with pytest.raises(Truncated):
            client.body(head)


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full: connecting to it never ends."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_connecting_times_out(proxy: Proxy, full_port: int) -> None:
    server = proxy(full_port, virtual=True, proxy_connect_timeout=5)
    with server.connect() as client:
        client.send(GET)
        server.advance(4.9)
        assert not server.log.lines("timed out")
        server.advance(0.2)
        assert client.response().status == 504
    assert "while connecting to upstream" in server.log.wait_for("served: 504")


def test_an_upstream_that_does_not_read_is_a_504_after_send_timeout(
    proxy: Proxy, upstream: Serve
) -> None:
    peer = upstream(lambda _: release.recv(1) and None, buffer=4096)
    hold, release = socket.socketpair()
    server = proxy(peer.port, virtual=True, proxy_send_timeout=30, proxy_read_timeout=1000)
    with server.connect() as client, hold, release:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {10**8}\r\n\r\n")
        client.socket.setblocking(False)
        for _ in range(3):  # until both kernels and the worker are full
            with contextlib.suppress(BlockingIOError):
                while True:
                    client.socket.send(b"x" * 65536)
            server.advance(0)
        client.socket.settimeout(20)
        server.advance(31)
        assert client.response().status == 504
        hold.send(b".")
