"""resty.http over real connections: requests as they stand on the wire."""

import pytest
from support.resty_http import OK, Recorder, Run
from support.upstream import Conversation


def test_a_uri_in_one_call(run: Run) -> None:
    seen = Recorder(b"HTTP/1.1 201 Made\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello")
    code = """
        local res, err = httpc:request_uri(uri .. "/a/b?c=d", { headers = { ["X-Own"] = "mine" } })
        return res.status, res.reason, res.body, res.headers["x-one"], res.has_body, err
    """
    assert run(seen, code) == [201, "Made", "hello", "1", True]
    assert seen.line == "GET /a/b?c=d HTTP/1.1"
    assert seen.field("x-own") == "mine"
    assert (seen.field("host") or "").startswith("127.0.0.1:")
    assert (seen.field("user-agent") or "").startswith("lua-resty-http/0.16.1 (Lua) ngx_lua/")
    assert seen.field("content-length") is None


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ('method = "put", path = "/p"', "PUT /p HTTP/1.1"),
        ('query = { a = "1 2" }', "GET /?a=1%202 HTTP/1.1"),
        ('query = "a=b"', "GET /?a=b HTTP/1.1"),
        ('query = "?a=b"', "GET /?a=b HTTP/1.1"),
        ("query = {}", "GET / HTTP/1.1"),
        ("version = 1.0", "GET / HTTP/1.0"),
    ],
)
def test_request_lines(connected: Run, params: str, line: str) -> None:
    seen = Recorder()
    assert connected(seen, f"return httpc:request{{ {params} }}.status") == [200]
    assert seen.line == line


def test_http_1_0_asks_to_keep_the_connection(connected: Run) -> None:
    seen = Recorder()
    connected(seen, "httpc:request{ version = 1.0 }")
    assert seen.field("connection") == "Keep-Alive"


@pytest.mark.parametrize(
    ("params", "length", "body"),
    [
        ('body = "abc"', "3", b"abc"),
        ('body = { "ab", { "c", 1 }, 23 }', "6", b"abc123"),
        ("body = 42", "2", b"42"),
        ('method = "POST"', "0", b""),
        ('method = "PATCH", body = ""', "0", b""),
        ('method = "DELETE"', None, b""),
        ('body = counting(), headers = { ["content-length"] = 6 }', "6", b"1-2-3-"),
    ],
)
def test_request_bodies(connected: Run, params: str, length: str | None, body: bytes) -> None:
    seen = Recorder()
    counting = """
        local function counting()
            local i = 0
            return function()
                i = i + 1
                return i <= 3 and i .. "-" or nil
            end
        end
    """
    assert connected(seen, f"{counting} return httpc:request{{ {params} }}.status") == [200]
    assert seen.field("content-length") == length
    assert seen.bodies[-1] == body


def test_an_iterator_needs_a_framing(connected: Run) -> None:
    why = "Request body is a function but a length or chunked encoding is not specified"
    code = "return httpc:request{ body = function() end }"
    assert connected(lambda _: None, code) == [None, why]


def test_an_iterator_may_write_chunks_itself_and_fail(connected: Run) -> None:
    def script(conversation: Conversation) -> None:
        head = conversation.request().lower()
        assert b"transfer-encoding: chunked" in head
        assert b"content-length" not in head
        if conversation.number == 1:  # the second ends with its head
            assert conversation.read_until(b"0\r\n\r\n") == b"2\r\nab\r\n0\r\n\r\n"
            conversation.send(OK)

    code = r"""
        local pieces = { "2\r\nab\r\n", "0\r\n\r\n" }
        local headers = { ["Transfer-Encoding"] = "chunked", ["Content-Length"] = 7 }
        local function body() return table.remove(pieces, 1) end
        local res = httpc:request{ headers = headers, body = body }
        httpc:set_keepalive()
        assert(httpc:connect{ scheme = "http", host = "127.0.0.1", port = port })
        return res.status, httpc:request{
            headers = headers, body = function() return nil, "no more", "rest" end }
    """
    assert connected(script, code) == [200, None, "no more"]


def test_headers_of_a_request_are_sent_as_given(connected: Run) -> None:
    seen = Recorder()
    code = """
        local headers = { Host = "other", ["user-agent"] = "me", Many = { "1", "2" }, Number = 7 }
        local res = httpc:request{ headers = headers }
        return res.status, headers["Content-Length"]
    """
    assert connected(seen, code) == [200]
    assert (seen.field("host"), seen.field("user-agent")) == ("other", "me")
    assert "Many: 1\r\nMany: 2\r\n" in seen.heads[0]
    assert "Number: 7\r\n" in seen.heads[0]


def test_no_user_agent_when_told_so(connected: Run) -> None:
    seen = Recorder()
    connected(seen, "httpc:request{ use_default_user_agent = false }")
    assert seen.field("user-agent") is None


def test_a_unix_socket_names_no_host(run: Run) -> None:
    code = """
        httpc.host = "unix:/tmp/none.sock"
        return httpc:request{}
    """
    why = "Unable to generate a useful Host header for a unix domain socket. Please provide one."
    assert run(lambda _: None, code) == [None, why]


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (r'path = "/a b"', "path"),
        (r'path = "/a\r\nX: y"', "path"),
        (r'path = "/", query = "a\nb"', "query"),
        (r'headers = { ["X\r\nY"] = "1" }', "header key"),
        (r'headers = { [""] = "1" }', "header key"),
        (r'headers = { X = "1\r\nY: 2" }', "header value"),
        (r'headers = { X = { "1", "2\0" } }', "header value"),
    ],
)
def test_what_would_end_a_line_is_not_sent(connected: Run, params: str, why: str) -> None:
    expected = [None, f"invalid characters found in {why}"]
    assert connected(lambda _: None, f"return httpc:request{{ {params} }}") == expected


def test_what_only_looks_odd_is_sent(connected: Run) -> None:
    seen = Recorder()
    params = r"""path = "/a?b|{c}\"\127\255", headers = { ["!x~"] = "a\tb\255" }"""
    assert connected(seen, f"return httpc:request{{ {params} }}.status") == [200]
