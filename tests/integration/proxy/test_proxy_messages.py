"""What an upstream gets of a request, and a client of its response."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Upstream, answer_with

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def echo(conversation: Conversation) -> None:
    """Answer each request with its head and body as they came."""
    for head in conversation.requests():
        lower = head.lower()
        body = b""
        if b"\r\ncontent-length:" in lower:
            length = lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            body = conversation.read_exactly(int(length))
        elif b"\r\ntransfer-encoding: chunked" in lower:
            body = conversation.read_until(b"0\r\n\r\n")
        text = head + body
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))


@pytest.fixture
def seen(proxy: Proxy, upstream: Serve) -> Callable[..., str]:
    """The request that the upstream gets of one that a client sends."""

    def ask(data: str, more: str = "") -> str:
        server = proxy(upstream(echo).port, more=more)
        with server.connect() as client:
            client.send(data)
            response = client.response()
            assert response.status == 200
            return response.text

    return ask


def test_method_target_fields_and_their_order_are_kept(seen: Callable[..., str]) -> None:
    request = "DELETE /a%20b/../c?x=%20#f HTTP/1.1\r\nHost: h\r\nB: 1\r\na: 2\r\nB:  3 \r\n\r\n"
    more = 'proxy = { set_header = { { "Host", "$http_host" } } },'
    expected = "DELETE /a%20b/../c?x=%20#f HTTP/1.1\r\nHost: h\r\nB: 1\r\na: 2\r\nB: 3\r\n\r\n"
    assert seen(request, more) == expected


HOP = (
    "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
    "Trailer: X\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n"
)


def test_fields_of_the_hop_do_not_reach_the_upstream(seen: Callable[..., str]) -> None:
    text = seen(f"GET / HTTP/1.1\r\nHost: h\r\n{HOP}X-End: 1\r\n\r\n").lower()
    names = [line.partition(":")[0] for line in text.split("\r\n")[1:] if line]
    assert names == ["host", "x-end"]


def test_host_cannot_be_nominated_away(seen: Callable[..., str]) -> None:
    more = "proxy = { set_header = {} },"
    assert "host: h" in seen("GET / HTTP/1.1\r\nhost: h\r\nConnection: host\r\n\r\n", more)


def test_fields_of_the_hop_do_not_reach_the_client(proxy: Proxy, upstream: Serve) -> None:
    response = b"HTTP/1.1 200 OK\r\n" + HOP.encode() + b"X-End: 1\r\nContent-Length: 0\r\n\r\n"
    answer = proxy(upstream(answer_with(response)).port).ask()
    names = [name.lower() for name, _ in answer.headers]
    assert names == ["server", "date", "content-length", "connection", "x-end"]


def test_a_request_of_http_1_0_goes_up_as_1_1(seen: Callable[..., str]) -> None:
    assert seen("GET / HTTP/1.0\r\nHost: h\r\n\r\n").startswith("GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ("Content-Length: 5\r\n\r\nhello", "Content-Length: 5\r\n\r\nhello"),
        ("Content-Length: 0\r\n\r\n", "Content-Length: 0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: u\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
    ],
)
def test_bodies_go_up_in_their_framing(
    seen: Callable[..., str], request_body: str, expected: str
) -> None:
    assert seen("POST / HTTP/1.1\r\nHost: h\r\n" + request_body).endswith("\r\n" + expected)


PROXY_TABLE = """
    variables = { target = "", value = "" },
    proxy = {
        uri = "$target",
        set_header = {
            { "Host", "x-$host" }, { "X-Gone", "" }, { "X-Empty", "$value" },
            { "X-Addr", "$remote_addr" }, { "X-Args", "${arg_a}.$arg_b" },
        },
    },
"""


def test_the_proxy_table_makes_target_and_fields(seen: Callable[..., str]) -> None:
    more = PROXY_TABLE + 'access = function() ngx.var.target = "/t?u" end,'
    fields = "X-Gone: 1\r\nX-Empty: 1\r\nx-addr: 1\r\nKept: 1\r\n"
    text = seen(f"GET /p?a=1&b=2 HTTP/1.1\r\nHost: h\r\n{fields}\r\n", more)
    assert text == (
        "GET /t?u HTTP/1.1\r\nHost: x-h\r\nX-Addr: 127.0.0.1\r\nX-Args: 1.2\r\nKept: 1\r\n\r\n"
    )


def test_an_empty_target_means_the_client_s(seen: Callable[..., str]) -> None:
    assert seen("GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n", PROXY_TABLE).startswith("GET /p?q HTTP")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (r'ngx.var.target = "/a b\r\nX: y\0\127"', "GET /a%20b%0D%0AX:%20y%00%7F HTTP/1.1"),
        (r'ngx.var.value = "a\r\nX: y"', "X-Empty: a%0D%0AX: y"),
        (r'ngx.req.set_header("X-New", "a\nX: y")', "X-New: a%0AX: y"),
        (r'ngx.req.set_header("X\r\nY", "z")', "X%0D%0AY: z"),
        (r'ngx.req.set_uri("/a\r\nX: y", false, true)', "GET /a%0D%0AX:%20y HTTP/1.1"),
        (r'ngx.req.set_uri_args("a\r\nX: y")', "GET /?a%0D%0AX:%20y HTTP/1.1"),
        (r'ngx.var.args = "a b\r\nX: y"', "GET /?a%20b%0D%0AX:%20y HTTP/1.1"),
    ],
)
def test_nothing_that_an_application_sets_breaks_a_line(
    seen: Callable[..., str], code: str, line: str
) -> None:
    more = PROXY_TABLE + f"access = function() {code} end,"
    lines = seen("GET / HTTP/1.1\r\nHost: h\r\n\r\n", more).split("\r\n")
    assert line in lines
    assert not any(each.startswith("X: ") for each in lines)


RESPONSES: dict[str, tuple[bytes, str]] = {
    "by length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "Content-Length"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2;x\r\nhe\r\n3\r\nllo\r\n0\r\nT: u\r\n\r\n",
        "Transfer-Encoding",
    ),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\nhello", "Transfer-Encoding"),
    "until the end, HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", "Transfer-Encoding"),
    "no reason phrase": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "Content-Length"),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_bodies_come_down(proxy: Proxy, upstream: Serve, name: str) -> None:
    data, framing = RESPONSES[name]
    answer = proxy(upstream(answer_with(data)).port).ask()
    assert (answer.status, answer.text) == (200, "hello")
    assert answer.header(framing)
    assert answer.header("Connection") == "keep-alive"


@pytest.mark.parametrize("name", RESPONSES)
def test_no_chunks_for_http_1_0(proxy: Proxy, upstream: Serve, name: str) -> None:
    data, framing = RESPONSES[name]
    server = proxy(upstream(answer_with(data)).port)
    with server.connect() as client:
        answer = client.ask("/", "Connection: keep-alive", version="1.0")
        assert (answer.status, answer.text) == (200, "hello")
        assert answer.header("Transfer-Encoding") is None
        kept = framing == "Content-Length"
        assert answer.header("Connection") == ("keep-alive" if kept else "close")
        assert kept or client.closed()


@pytest.mark.parametrize(
    ("method", "head", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "5"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", None),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n', "5"),
    ],
)
def test_responses_without_a_body(
    proxy: Proxy, upstream: Serve, method: str, head: bytes, length: str | None
) -> None:
    peer = upstream(answer_with(head, OK))
    server = proxy(peer.port)
    with server.connect() as client:
        answer = client.ask("/", method=method)
        assert answer.header("Content-Length") == length
        assert answer.header("Transfer-Encoding") is None
        assert client.ask("/").text == "hi"
    assert peer.accepted == 1


def test_pipelined_requests_are_answered_in_order(proxy: Proxy, upstream: Serve) -> None:
    def count(conversation: Conversation) -> None:
        for head in conversation.requests():
            target = head.split()[1]
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target))
            conversation.send(target)

    server = proxy(upstream(count).port)
    with server.connect() as client:
        body = "Content-Length: 3\r\n\r\nabc"
        client.send("".join(f"POST /{i} HTTP/1.1\r\nHost: a\r\n{body}" for i in range(100)))
        assert [client.response().text for _ in range(100)] == [f"/{i}" for i in range(100)]


def test_interim_responses_are_not_passed_on(proxy: Proxy, upstream: Serve) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    with proxy(upstream(answer_with(interim + OK)).port).connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = client.head()
        assert head.status == 200
        assert head.header("Link") is None
        assert client.body(head).text == "hi"


def test_expect_is_answered_here_and_not_passed_on(proxy: Proxy, upstream: Serve) -> None:
    server = proxy(upstream(echo).port)
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n")
        client.send("Content-Length: 5\r\n\r\n")
        assert client.head().status == 100
        client.send("hello")
        text = client.response().text
        assert text.endswith("\r\n\r\nhello")
        assert "Expect" not in text
