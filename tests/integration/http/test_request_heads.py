"""Heads of requests: what is refused and what the log says then, limits of a line, raw_header."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.requests import GET, LIMIT

Start = Callable[..., AppServer]

OK = "return { content = function() ngx.print('ok') end }"
LINE, HEADERS = "while reading client request line", "while reading client request headers"


@pytest.fixture(scope="module")
def server(module_app_server: Start) -> AppServer:
    return module_app_server(
        "require('server.log').level = 7 " + OK,
        client_header_size=LIMIT,
        client_header_line_size=1000,
    )


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("G(T / HTTP/1.1\r\n\r\n", 400, f"client sent invalid method {LINE}"),
        ("GET / FTP/1.1\r\n\r\n", 400, f"client sent invalid version {LINE}"),
        ("GET /a b HTTP/1.1\r\n\r\n", 400, f"client sent invalid version {LINE}"),
        ("GET /" + "a" * 1000 + " HTTP/1.1\r\n\r\n", 414, f"client sent too long URI {LINE}"),
        (
            GET + "Host: a\r\n folded\r\n\r\n",
            400,
            f'client sent invalid header line: "\\x20..." {HEADERS}',
        ),
        (GET + "Fo(o: a\r\n\r\n", 400, f'client sent invalid header line: "Fo\\x28..." {HEADERS}'),
        (GET + "Foo\r\n\r\n", 400, f'client sent invalid header line: "Foo\\x0d..." {HEADERS}'),
        (
            GET + "Host: a\x01\r\n\r\n",
            400,
            f'client sent invalid header line: "Host: a\\x01..." {HEADERS}',
        ),
        (GET + "X: " + "a" * 1000 + "\r\n\r\n", 400, 'client sent too long header line: "X: aaa'),
        (GET + "X: a\r\n" * 400 + "\r\n", 400, f"client sent too large request {HEADERS}"),
        (GET + "\r\n", 400, f'client sent HTTP/1.1 request without "Host" header {HEADERS}'),
        (GET + "Host: a/b\r\n\r\n", 400, f"client sent invalid host header {HEADERS}"),
        (
            GET + "Host: a\r\nHost: b\r\n\r\n",
            400,
            f'client sent duplicate host header: "Host: b", previous value: "Host: a" {HEADERS}',
        ),
        (
            GET + "Host: a\r\nContent-Length: x\r\n\r\n",
            400,
            f'client sent invalid "Content-Length" header {HEADERS}',
        ),
        (
            GET + "Host: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
            f'client sent unknown "Transfer-Encoding": "gzip" {HEADERS}',
        ),
        (
            GET + "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            400,
            'client sent "Content-Length" and "Transfer-Encoding" headers at the same time',
        ),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, f"client sent TRACE method {HEADERS}"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, f"client sent CONNECT method {HEADERS}"),
    ],
)
def test_what_is_refused_is_told(server: AppServer, text: str, status: int, told: str) -> None:
    with server.connect() as client:
        client.send(text)
        assert client.response().status == status
    server.log.wait_for(told)


def test_lines_as_long_as_allowed(server: AppServer) -> None:
    target = "/" + "a" * (1000 - len("GET / HTTP/1.1\r\n"))
    with server.connect() as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\nX: {'a' * 995}\r\n\r\n")
        assert client.response().text == "ok"
        client.send(f"GET {target}a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 414
    with server.connect() as client:
        client.send(f"{GET}Host: a\r\nX: {'a' * 996}\r\n\r\n")
        response = client.response()
        assert response.status == 400
        assert "Request Header Or Cookie Too Large" in response.text


def test_a_line_without_end_is_refused_at_its_limit(server: AppServer) -> None:
    with server.connect() as client:
        client.send("GET /" + "a" * 1000)
        assert client.response().status == 414


@pytest.mark.parametrize(("setting", "shown"), [(True, "1 2 3"), (False, "nil nil 3")])
def test_fields_with_underscores(app_server: Start, setting: bool, shown: str) -> None:
    app = """
    return { content = function()
        local h = ngx.req.get_headers()
        ngx.print(tostring(h.a_b), " ", tostring(h.c__d), " ", tostring(h["e-f"]))
    end }
    """
    server = app_server(app, underscores_in_headers=setting)
    assert server.ask("/", "a_b: 1", "c__d: 2", "e-f: 3").text == shown


RAW = """
return { content = function()
    if ngx.var.arg_change then
        ngx.req.set_header("X", "changed")
        ngx.req.clear_header("Host")
        ngx.req.set_method(ngx.HTTP_PUT)
    end
    ngx.print(ngx.req.raw_header(ngx.var.arg_no == "1"), "|", ngx.var.request)
end }
"""


@pytest.mark.parametrize(
    ("before", "line", "fields"),
    [
        ("", "GET /?a HTTP/1.1", "Host: a\r\nX:b\r\n"),
        ("", "GET /?change=1 HTTP/1.1", "Host:  a \t\r\nX:\t b\r\nx: c\r\n"),
        ("\r\n\r\n", "GET http://b/?a HTTP/1.1", "hOST:a\r\n"),
        ("", "GET /?a#b HTTP/1.1", "Host: a\r\n"),
    ],
)
def test_the_head_as_it_came(app_server: Start, before: str, line: str, fields: str) -> None:
    with app_server(RAW).connect() as client:
        for _ in range(2):
            client.send(f"{before}{line}\r\n{fields}Connection: keep-alive\r\n\r\n")
            assert client.response().text == (
                f"{line}\r\n{fields}Connection: keep-alive\r\n\r\n|{line}"
            )
        client.send("GET /?no=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().text == "Host: a\r\n\r\n|GET /?no=1 HTTP/1.1"


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("GET /?a HTTP/1.1\nHost: a\n\n", "GET /?a HTTP/1.1\nHost: a\n\n"),
        ("\n\r\n\nGET /?a HTTP/1.1\r\nHost: a\n\r\n", "GET /?a HTTP/1.1\r\nHost: a\n\r\n"),
        ("GET /?a HTTP/1.1\nHost: a\r\nX: b\n\n", "GET /?a HTTP/1.1\nHost: a\r\nX: b\n\n"),
        ("GET /?a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?a HTTP/1.1\r\nHost: a\r\n\r\n"),
    ],
)
def test_lines_that_end_in_a_bare_lf_where_that_is_allowed(
    app_server: Start, text: str, raw: str, step: int
) -> None:
    with app_server(RAW, bare_line_feeds=True).connect() as client:
        for _ in range(2):
            for at in range(0, len(text), step):
                client.send(text[at : at + step])
            assert client.response().text == f"{raw}|GET /?a HTTP/1.1"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET /\x01 HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\n" + "X: a\n" * 500 + "\n", 400),
        ("GET /" + "a" * 1000, 414),
        ("\n" * 3000, 400),
        ("GET / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1\na\n0\n\n", 400),
    ],
)
def test_limits_hold_there_too(app_server: Start, text: str, status: int) -> None:
    read = "return { content = function() ngx.req.read_body() ngx.print('ok') end }"
    server = app_server(
        read, bare_line_feeds=True, client_header_size=LIMIT, client_header_line_size=1000
    )
    with server.connect() as client:
        client.send(text)
        assert client.response().status == status


def test_the_collector_leaves_a_head_alone_that_is_being_parsed(app_server: Start) -> None:
    app = "collectgarbage('setpause', 1) collectgarbage('setstepmul', 10000) " + OK
    text = GET + "Host: a\n" + "".join(f"X-{i}: {'v' * 200}\n" for i in range(60)) + "\n"
    server = app_server(app, bare_line_feeds=True)
    with server.connect() as client:
        for _ in range(200):
            client.send(text)
            assert client.response().text == "ok", server.log.text


def test_a_page_of_the_application_for_what_is_refused(app_server: Start) -> None:
    app = """
    return {
        error_pages = { [400] = "/refused" },
        locations = {
            { path = "/", content = function() ngx.print("ok") end },
            { path = "/refused", internal = true, content = function()
                ngx.print("page for ", ngx.status, " ", #ngx.req.raw_header(), ngx.var.host)
            end },
        },
    }
    """
    server = app_server(app)
    with server.connect() as client:
        assert client.ask("/").text == "ok"
        client.send("GET /\x01 HTTP/1.1\r\n\r\n")
        response = client.response()
        assert (response.status, response.text) == (400, "page for 400 19")
        assert client.closed()
