"""The life of a client's connection: keep-alive, pipelining, timeouts, limits, draining."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.http import Client

Start = Callable[..., AppServer]

HELLO = 'return { content = function() ngx.say("hello") end }'
FIXED = """
return { content = function()
    ngx.header.content_length = 5
    ngx.print("hello")
end }
"""
READ = """
return { content = function()
    ngx.req.read_body()
    ngx.print(ngx.req.get_body_data() or "-")
end }
"""
IGNORE = 'return { content = function() ngx.print("ok") end }'
GET = "GET / HTTP/1.1\r\nHost: a\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("request_head", "keeps"),
    [
        ("GET / HTTP/1.1\r\nHost: a\r\n", True),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", False),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n", False),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n", False),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n", False),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n", False),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: not-close\r\n", True),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n", True),
        ("GET / HTTP/1.0\r\nHost: a\r\n", False),
        ("GET / HTTP/1.0\r\nHost: a\r\nConnection: close\r\n", False),
        ("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n", True),
        ("HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n", True),
    ],
)
def test_who_keeps_the_connection(app_server: Start, request_head: str, keeps: bool) -> None:
    server = app_server(FIXED)
    method = request_head.split()[0]
    with server.connect() as client:
        for _ in range(3 if keeps else 1):
            client.send(request_head + "\r\n")
            response = client.response(method)
            assert response.header("Connection") == ("keep-alive" if keeps else "close")
            assert response.header("Content-Length") == "5"
        assert keeps or client.closed()


def test_no_chunks_for_http_1_0(app_server: Start) -> None:
    with app_server(HELLO, http10_buffering=False).connect() as client:
        response = client.ask("/", "Connection: keep-alive", version="1.0")
        assert response.header("Transfer-Encoding") is None
        assert response.header("Connection") == "close"
        assert response.text == "hello\n"


def test_an_application_may_close_the_connection(app_server: Start) -> None:
    code = 'return { content = function() ngx.header["Connection"] = "close" ngx.say("x") end }'
    with app_server(code).connect() as client:
        response = client.ask()
        assert response.header("Connection") == "close"
        assert client.closed()


def test_pipelined_requests_of_every_kind(app_server: Start) -> None:
    chunks = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    kinds = [
        (GET + "\r\n", "-"),
        (POST + "Content-Length: 5\r\n\r\nhello", "hello"),
        (POST + chunks, "abc"),
        ("\r\n" + GET + "\r\n", "-"),
    ]
    with app_server(READ).connect() as client:
        client.send("".join(text for text, _ in kinds) * 50)
        for _ in range(50):
            for _, expected in kinds:
                assert client.response().text == expected


def test_a_pipeline_larger_than_all_buffers(app_server: Start) -> None:
    big = "x" * 60_000
    with app_server(READ, client_body_buffer_size=len(big)).connect() as client:
        for _ in range(3):
            client.send((POST + f"Content-Length: {len(big)}\r\n\r\n{big}") * 5)
            assert [len(client.response().text) for _ in range(5)] == [60_000] * 5


@pytest.mark.parametrize(
    "body",
    [
        "Content-Length: 100000\r\n\r\n" + "x" * 100_000,
        "Transfer-Encoding: chunked\r\n\r\n" + "186a0\r\n" + "x" * 100_000 + "\r\n0\r\n\r\n",
    ],
)
def test_a_body_that_nobody_reads_is_skipped(app_server: Start, body: str) -> None:
    with app_server(IGNORE).connect() as client:
        for _ in range(3):
            client.send(POST + body)
            assert client.response().text == "ok"


def send_for_ever(client: Client) -> None:
    while True:
        client.send("x" * 100_000)


def test_a_huge_body_that_nobody_reads_ends_the_connection(app_server: Start) -> None:
    server = app_server(IGNORE, lingering_time=0.5)
    with server.connect() as client:
        client.send(POST + f"Content-Length: {10**10}\r\n\r\n")
        assert client.response().text == "ok"
        with pytest.raises(ConnectionError):
            send_for_ever(client)


def test_a_body_that_nobody_reads_is_skipped_for_a_bounded_time(app_server: Start) -> None:
    server = app_server(IGNORE, virtual=True)
    with server.connect() as client:
        client.send(POST + "Content-Length: 100\r\n\r\n")
        assert client.response().text == "ok"
        for _ in range(12):  # always in time for lingering_timeout (5 s), not for lingering_time
            client.send("x")
            server.advance(2.6)
        client.send("x")
        assert client.closed()


def test_expect_is_answered_when_the_body_is_read(app_server: Start) -> None:
    with app_server(READ).connect() as client:
        for _ in range(2):
            client.send(POST + "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n")
            head = client.head()
            assert head.status == 100
            assert head.raw == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send("hello")
            assert client.response().text == "hello"


def test_expect_is_not_answered_when_the_body_is_there(app_server: Start) -> None:
    with app_server(READ).connect() as client:
        client.send(POST + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        assert client.head().status in (100, 200)  # either is right, never twice


def test_expect_is_not_answered_when_nobody_reads(app_server: Start) -> None:
    with app_server(IGNORE).connect() as client:
        client.send(POST + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.head().status == 200
        assert client.read_until(b"0\r\n\r\n")
        assert client.closed()


def test_expect_of_http_1_0_is_ignored(app_server: Start) -> None:
    with app_server(READ).connect() as client:
        client.send("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        client.send("hello")
        assert client.head().status == 200


def test_a_connection_serves_so_many_requests(app_server: Start) -> None:
    with app_server(HELLO, keepalive_requests=3).connect() as client:
        kinds = [client.ask().header("Connection") for _ in range(3)]
        assert kinds == ["keep-alive", "keep-alive", "close"]
        assert client.closed()


def test_an_idle_connection_is_closed_in_time(app_server: Start) -> None:
    server = app_server(HELLO, virtual=True, keepalive_timeout=30)
    with server.connect() as client:
        for _ in range(3):
            client.ask()
            server.advance(29)
        client.ask()
        server.advance(31)
        assert client.closed()


def test_a_client_that_says_nothing_is_closed_in_time(app_server: Start) -> None:
    server = app_server(HELLO, virtual=True, client_header_timeout=20)
    with server.connect() as client:
        server.advance(19)
        assert server.connections() == (1, 1)
        server.advance(2)
        assert client.closed()


@pytest.mark.parametrize("after", [0, 2])
def test_a_head_must_come_in_time_as_a_whole(app_server: Start, after: int) -> None:
    source = HELLO[:-1] + ", log = function() ngx.log(ngx.WARN, 'over: ', ngx.status) end }"
    server = app_server(source, virtual=True, client_header_timeout=20)
    with server.connect() as client:
        for _ in range(after):
            client.ask()
        for byte in "GET / HTTP":  # one in two seconds: each in time, but not all
            client.send(byte)
            server.advance(1.9)
        assert server.connections() == (1, 0)
        server.advance(1.2)
        assert client.closed()  # as nginx: a 408 without a word
    assert "over: 408" in server.log.wait_for("over: 408")


@pytest.mark.parametrize("kind", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_a_body_must_not_pause_for_long(app_server: Start, kind: str) -> None:
    server = app_server(READ, virtual=True, client_body_timeout=20)
    with server.connect() as client:
        client.send(f"{POST}{kind}\r\n\r\n")
        for byte in "5\r\nhe":
            server.advance(19)
            client.send(byte)
        server.advance(19)
        assert server.connections() == (1, 0)
        server.advance(2)
        assert client.closed()


def test_a_client_that_does_not_read_is_given_up(app_server: Start) -> None:
    source = """
    return { content = function()
        local piece, sent = ("x"):rep(100000), 0
        repeat
            local ok, err = ngx.print(piece)
            sent = sent + 1
        until not ok
        ngx.log(ngx.WARN, "gave up: ", sent > 5, " ", err)
    end }
    """
    server = app_server(source, virtual=True, send_timeout=10)
    with server.connect(buffer=4096) as client:
        client.send(GET + "\r\n")
        client.read_exactly(10)
        server.advance(9)
        assert not server.log.lines("gave up")
        server.advance(11)
        assert "gave up: true nil" in server.log.wait_for("gave up")


def test_draining_ends_idle_connections_and_lets_requests_finish(app_server: Start) -> None:
    source = """
    return { content = function()
        ngx.log(ngx.WARN, "begun")
        ngx.sleep(10)
        ngx.say("finished")
    end }
    """
    server = app_server(source, virtual=True)
    with server.connect() as idle, server.connect() as busy:
        server.advance(0)
        busy.send((GET + "\r\n") * 2)
        server.log.wait_for("begun")
        server.quit()
        server.advance(1)
        assert idle.closed()
        server.advance(10)
        response = busy.response()
        assert response.text == "finished\n"
        assert response.header("Connection") == "keep-alive"  # said before the drain began
        assert busy.closed()
    assert server.wait() == 0


def test_a_response_made_while_draining_says_close(app_server: Start) -> None:
    source = 'return { content = function() ngx.sleep(10) ngx.say("x") end }'
    server = app_server(source, virtual=True)
    with server.connect() as client:
        client.send(GET)
        server.advance(0)
        server.quit()
        server.advance(1)
        client.send("\r\n")  # it was begun before
        server.advance(10)
        assert client.response().header("Connection") == "close"
        assert client.closed()
    assert server.wait() == 0


def test_many_connections_at_once(app_server: Start) -> None:
    server = app_server(HELLO)
    clients = [server.connect() for _ in range(500)]
    for client in clients:
        client.send(GET + "\r\n")
    assert [client.response().text for client in clients] == ["hello\n"] * 500
    assert server.connections()[0] == 500
    for client in clients:
        client.close()
    server.settle()
