"""ngx.req.socket: the request's body, or the connection itself, as a cosocket."""

from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

BODY = """
local function show(...)
    local parts = {}
    for i = 1, select("#", ...) do
        parts[i] = tostring((select(i, ...)))
    end
    ngx.say(table.concat(parts, "|"))
end
return { content = function()
    local sock, err = ngx.req.socket()
    if not sock then
        return show(sock, err)
    end
    %s
end }
"""


def body_server(start: Start, code: str, **settings: Any) -> AppServer:
    return start(BODY % code, **settings)


def post(server: AppServer, body: bytes) -> list[str]:
    return server.ask("/", method="POST", body=body).text.splitlines()


def test_a_body_is_read_as_it_comes(app_server: Start) -> None:
    server = body_server(app_server, "show(sock:receive(3)) show(sock:receive()) ngx.flush(true)")
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabcd")
        client.socket.sendall(b"e\nfgh")
        assert client.response("POST").text == "abc\nde\n"


def test_it_ends_where_the_body_ends(app_server: Start) -> None:
    code = 'show(sock:receive(100)) show(sock:receive(1)) show(sock:receive("*a"))'
    server = body_server(app_server, code)
    with server.connect() as client:
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%s"
        client.send(request % b"abc" + request % b"def")
        expected = "nil|closed|%s\nnil|closed\nnil|closed\n"
        assert client.response("POST").text == expected % "abc"
        assert client.response("POST").text == expected % "def"


def test_all_and_any_and_until(app_server: Start) -> None:
    code = """
        show(sock:receiveany(2))
        local read = sock:receiveuntil("--")
        show(read()) show(read(1)) show(read(9)) show(read(9)) show(read())
    """
    server = body_server(app_server, code)
    assert post(server, b"abcd--e--f-") == [
        "ab",
        "cd",
        "e",
        "",
        "nil|nil|nil",
        "nil|closed|f",
    ]
    everything = body_server(app_server, 'show(sock:receive("*a")) show(sock:receive("*a"))')
    assert post(everything, b"all of it") == ["all of it", ""]


def test_what_was_not_read_does_not_harm_the_next_request(app_server: Start) -> None:
    server = body_server(app_server, "show(sock:receive(1))")
    with server.connect() as client:
        for _ in range(2):
            assert client.ask("/", method="POST", body=b"x" * 100000).text == "x\n"


def test_a_client_that_waits_for_leave_gets_it(app_server: Start) -> None:
    server = body_server(app_server, "show(sock:receive(2))")
    with server.connect() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"ok")
        assert client.response("POST").text == "ok\n"


def test_a_client_that_goes_away(app_server: Start) -> None:
    code = "ngx.log(ngx.WARN, table.concat({ select(2, sock:receive(9)) }, '|'))"
    server = body_server(app_server, code)
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        client.socket.shutdown(1)
        server.log.wait_for("client aborted|abc")


def test_a_client_that_is_slow(app_server: Start) -> None:
    code = "sock:settimeout(20) show(sock:receive(9)) show(sock:receive(1))"
    server = body_server(app_server, code)
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        assert client.response("POST").text == "nil|timeout|abc\nnil|timeout|\n"
    server.log.wait_for("lua tcp socket read timed out")


def test_why_there_is_none(app_server: Start) -> None:
    server = app_server(
        """
        return { content = function()
            local how = ngx.var.arg_how
            if how then
                ngx.req[how]()
            end
            ngx.say(select(2, ngx.req.socket()), select(2, ngx.req.socket()))
        end }
        """
    )

    def why(target: str, *headers: str, body: bytes | None = b"x") -> str:
        return server.ask(target, *headers, method="POST", body=body).text

    assert why("/", body=b"") == "no bodyno body\n"
    assert why("/") == "nilrequest body already exists\n"
    assert why("/?how=read_body") == "request body already exists" * 2 + "\n"
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        chunked = "chunked request bodies not supported yet"
        assert client.response("POST").text == chunked * 2 + "\n"
        client.send(b"POST /?how=discard_body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        head = client.read_until(b"\r\n0\r\n\r\n")
        assert b"request body discarded" in head


def test_where_it_is_not_to_be_had(app_server: Start) -> None:
    server = app_server(
        """
        local function try()
            ngx.log(ngx.WARN, select(2, pcall(ngx.req.socket)))
        end
        return {
            content = function() ngx.say(pcall(ngx.req.socket, 1, 2)) end,
            header_filter = try,
            log = function() ngx.timer.at(0, try) end,
        }
        """
    )
    assert server.ask().text == "falseexpecting 0 or 1 argument, but got 2\n"
    server.log.wait_for("API disabled in the context of header_filter_by_lua*")
    server.log.wait_for("API disabled in the context of ngx.timer")


# -- raw ------------------------------------------------------------------------------------------

RAW = """
return { content = function()
    ngx.req.read_body()
    local sock = assert(ngx.req.socket(true))
    %s
end }
"""

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_the_connection_is_the_application_s(app_server: Start) -> None:
    server = app_server(
        RAW
        % """
        local line = sock:receive()
        sock:send({ "HTTP/1.1 299 Own\\r\\n\\r\\n", line, "\\n" })
        sock:send(sock:receiveuntil("!")() .. "\\n")
        """
    )
    with server.connect() as client:
        client.send(GET + b"first\nsec")
        assert client.read_until(b"first\n") == b"HTTP/1.1 299 Own\r\n\r\nfirst\n"
        client.send(b"ond!")
        assert client.read_until(b"\n") == b"second\n"
        client.socket.shutdown(1)
        assert client.socket.recv(1) == b""


def test_both_ways_at_once(app_server: Start) -> None:
    server = app_server(
        RAW
        % """
        local size = 3000000
        local writer = ngx.thread.spawn(function() sock:send(("x"):rep(size)) end)
        local received = #sock:receive(size)
        ngx.thread.wait(writer)
        sock:send("got " .. received)
        """
    )
    with server.connect() as client:
        client.send(GET)
        got = b""
        for _ in range(30):
            client.send(b"y" * 100000)
            got += client.socket.recv(65536)
        while not got.endswith(b"got 3000000"):
            got += client.socket.recv(65536)
        assert len(got) == 3000000 + len("got 3000000")


def test_nothing_else_is_sent_over_it(app_server: Start) -> None:
    server = app_server(
        RAW
        % """
        sock:send(select(2, ngx.say("x")) .. "\\n")
        sock:send(select(2, ngx.print("x")) .. "\\n")
        sock:send(select(2, ngx.flush()) .. "\\n")
        sock:send(select(2, ngx.eof()) .. "\\n")
        sock:send(select(2, ngx.req.socket(true)) .. "\\n")
        sock:send(tostring(ngx.headers_sent) .. tostring(sock.close) .. "\\n")
        error("after all")
        """
    )
    with server.connect() as client:
        client.send(GET)
        acquired = b"raw request socket acquired\n" * 4
        assert client.read_until(b"nil\n") == acquired + b"duplicate call\ntruenil\n"
        assert client.socket.recv(1) == b""
    server.log.wait_for("after all")


def test_what_was_said_before_goes_before(app_server: Start) -> None:
    server = app_server(
        """
        return { content = function()
            ngx.header["Content-Length"] = 12
            ngx.print("before ")
            local sock = assert(ngx.req.socket(true))
            sock:send("after")
        end }
        """
    )
    assert server.ask().text == "before after"


def test_a_body_that_was_not_read_is_there(app_server: Start) -> None:
    server = app_server(
        """
        return { content = function()
            local sock = assert(ngx.req.socket(true))
            local body = sock:receive(5)
            sock:send("HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n" .. body)
        end }
        """
    )
    assert post(server, b"hello") == ["hello"]


def test_a_body_that_somebody_reads(app_server: Start) -> None:
    server = app_server(
        """
        return { content = function()
            ngx.thread.spawn(ngx.req.read_body)
            ngx.say(select(2, ngx.req.socket(true)))
            ngx.exit(200)
        end }
        """
    )
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell")
        pending = "pending request body reading in some other thread\n"
        assert client.response("POST").text == pending


@pytest.mark.parametrize(("checking", "why"), [(False, "closed"), (True, "client aborted")])
def test_a_client_that_leaves_the_connection(app_server: Start, checking: bool, why: str) -> None:
    code = 'ngx.log(ngx.WARN, "then: ", (select(2, sock:receive())))'
    server = app_server(RAW % code, check_client_abort=checking)
    with server.connect() as client:
        client.send(GET)
    server.log.wait_for(f"then: {why}")
