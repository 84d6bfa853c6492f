"""What nginx's variables tell of the upstream servers that a request was sent to."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Upstream

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

LOG = """
log = function()
    local var, told = ngx.var, {}
    for name in ("NAMES"):gmatch("%S+") do
        told[#told + 1] = tostring(var[name])
    end
    ngx.log(ngx.WARN, "told: ", table.concat(told, " | "), " end")
end,
"""


def names(server: AppServer, count: int = 1) -> list[str]:
    text = server.log.wait_for(" end", count)
    return [
        line.partition("told: ")[2].partition(" end")[0]
        for line in text.splitlines()
        if "told: " in line
    ]


def say(*responses: bytes, body: int = 0) -> Callable[[Conversation], None]:
    def script(conversation: Conversation) -> None:
        for response in responses:
            head = conversation.request()
            conversation.read_exactly(body)
            assert head
            conversation.send(response)

    return script


ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Two: a\r\nX-Two: b\r\n"
    b"Set-Cookie: one=1; Path=/\r\nSet-Cookie: Two = 2 ;x\r\n\r\nhello"
)
CHUNKS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: done\r\n\r\n"
)


def told(proxy: Proxy, upstream: Serve, variables: str, response: bytes = ANSWER) -> str:
    server = proxy(upstream(say(response)).port, more=LOG.replace("NAMES", variables))
    server.ask("/")
    return names(server)[0]


@pytest.mark.parametrize(
    ("variables", "response", "expected"),
    [
        ("upstream_http_x_two UPSTREAM_HTTP_X_TWO", ANSWER, "a, b | a, b"),
        ("upstream_http_x_none", ANSWER, "nil"),
        ("upstream_cookie_one upstream_cookie_two upstream_cookie_x", ANSWER, "1 | 2  | nil"),
        ("upstream_status upstream_response_length", ANSWER, "200 | 5"),
        ("upstream_response_length upstream_trailer_x_end", CHUNKS, "3 | done"),
        ("upstream_trailer_x_end upstream_cache_status", ANSWER, "nil | nil"),
        ("upstream_bytes_received", ANSWER, str(len(ANSWER))),
    ],
)
def test_of_one_response(
    proxy: Proxy, upstream: Serve, variables: str, response: bytes, expected: str
) -> None:
    assert told(proxy, upstream, variables, response) == expected


def test_bytes_sent(proxy: Proxy, upstream: Serve) -> None:
    heads: list[bytes] = []

    def script(conversation: Conversation) -> None:
        heads.append(conversation.request())
        conversation.read_exactly(3)
        conversation.send(ANSWER)

    server = proxy(upstream(script).port, more=LOG.replace("NAMES", "upstream_bytes_sent"))
    server.ask("/", method="POST", body=b"abc")
    assert names(server) == [str(len(heads[0]) + 3)]


def test_each_try_has_its_place(proxy: Proxy, upstream: Serve, refusing_port: int) -> None:
    good = upstream(say(ANSWER)).port
    variables = (
        "upstream_addr upstream_status upstream_response_length upstream_bytes_received "
        "upstream_connect_time upstream_header_time upstream_response_time"
    )
    server = proxy(refusing_port, good, more=LOG.replace("NAMES", variables), virtual=True)
    assert server.ask("/").text == "hello"
    assert names(server)[0].split(" | ") == [
        f"127.0.0.1:{refusing_port}, 127.0.0.1:{good}",
        "502, 200",
        "0, 5",
        f"0, {len(ANSWER)}",
        "-, 0.000",
        "-, 0.000",
        "0.000, 0.000",
    ]


def test_without_an_upstream_there_is_nothing_to_tell(app_server: Callable[..., AppServer]) -> None:
    app = """return { content = function()
        local var = ngx.var
        ngx.print(tostring(var.upstream_addr), tostring(var.upstream_status),
            tostring(var.upstream_response_time), tostring(var.upstream_bytes_sent),
            tostring(var.upstream_http_x), tostring(var.proxy_host))
    end }"""
    assert app_server(app).ask("/").text == "nil" * 6


@pytest.mark.parametrize("body", [b"", b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"])
def test_an_upstream_of_http_1_0(proxy: Proxy, upstream: Serve, body: bytes) -> None:
    seen: list[bytes] = []

    def script(conversation: Conversation) -> None:
        seen.append(conversation.request())
        conversation.send(b"HTTP/1.0 200 OK\r\n\r\n" + conversation.read_exactly(7 if body else 0))

    server = proxy(upstream(script).port, more='proxy = { http_version = "1.0" },')
    with server.connect() as client:
        coding = "Transfer-Encoding: chunked\r\n" if body else ""
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{coding}\r\n".encode() + body)
        assert client.response().text == ("abcdefg" if body else "")
    assert seen[0].startswith(b"POST / HTTP/1.0\r\n")
    assert b"chunked" not in seen[0]
    assert (b"Content-Length: 7\r\n" in seen[0]) == bool(body)
