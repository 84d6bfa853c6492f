"""The functions of ngx.req that read, replace and write a request's body."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

SHOW = """
local function show()
    local path = ngx.req.get_body_file()
    return path and "file:" .. io.open(path):read("*a")
        or "data:" .. tostring(ngx.req.get_body_data())
end
return { content = function() CODE end }
"""


def run(app_server: Start, code: str, body: bytes | None = b"hello", **settings: object) -> str:
    server = app_server(SHOW.replace("CODE", code), **settings)
    with server.connect() as client:
        text = str(client.ask(method="POST", body=body).text)
        assert client.ask(method="POST", body=body).text  # the connection goes on
    server.settle()
    return text


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("ngx.req.read_body() ngx.print(show())", "data:hello"),
        ("ngx.req.read_body() ngx.req.read_body() ngx.print(show())", "data:hello"),
        ("ngx.print(show())", "data:nil"),
        ("ngx.req.read_body() ngx.print(ngx.req.get_body_data(2))", "he"),
        ("ngx.req.read_body() ngx.print(ngx.req.get_body_data(0))", "hello"),
        ("ngx.req.read_body() ngx.print(ngx.req.get_body_data(-1))", "hello"),
        ("ngx.req.read_body() ngx.print(ngx.req.get_body_data(99))", "hello"),
        ("ngx.req.discard_body() ngx.print(show())", "data:nil"),
        ("ngx.req.discard_body() ngx.req.read_body() ngx.print(show())", "data:nil"),
        ("ngx.req.read_body() ngx.req.discard_body() ngx.print(show())", "data:hello"),
        ('ngx.req.read_body() ngx.req.set_body_data("new") ngx.print(show())', "data:new"),
        ("ngx.req.read_body() ngx.req.set_body_data(12) ngx.print(show())", "data:12"),
        ('ngx.req.read_body() ngx.req.set_body_data("") ngx.print(show())', "data:nil"),
        (
            'ngx.req.read_body() ngx.req.set_body_data("new") '
            "ngx.print(ngx.var.http_content_length)",
            "3",
        ),
        (
            "ngx.req.read_body() ngx.req.init_body() ngx.req.append_body('a') "
            "ngx.req.append_body(1) ngx.print(show(), ' ') ngx.req.finish_body() "
            "ngx.print(show(), ngx.var.content_length)",
            "data:a1 data:a12",
        ),
        (
            "ngx.req.read_body() ngx.req.init_body(3) ngx.req.append_body('abc') "
            "ngx.req.finish_body() ngx.print(show())",
            "data:abc",
        ),
        (
            "ngx.req.read_body() ngx.req.init_body(3) ngx.req.append_body('abc') "
            "ngx.req.append_body('d') ngx.req.finish_body() ngx.print(show())",
            "file:abcd",
        ),
        (
            "ngx.req.read_body() ngx.req.init_body(0) ngx.req.append_body('abc') "
            "ngx.print(show()) ngx.req.finish_body() ngx.print(ngx.var.request_body)",
            "file:abcnil",
        ),
        (
            "ngx.req.read_body() ngx.req.init_body() ngx.req.finish_body() ngx.print(show())",
            "data:nil",
        ),
        (
            "ngx.req.read_body() ngx.req.init_body(2) ngx.req.append_body('abc') "
            "ngx.req.set_body_data('x') ngx.print(show())",
            "data:x",
        ),
    ],
)
def test_the_body(app_server: Start, tmp_path: Path, code: str, shown: str) -> None:
    assert run(app_server, code, client_body_temp_path=str(tmp_path)) == shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("read_body(1)", "expecting 0 arguments but seen 1"),
        ("discard_body(nil)", "expecting 0 arguments but seen 1"),
        ("get_body_data(1, 2)", "expecting 0 or 1 arguments but seen 2"),
        (
            "get_body_data('x')",
            "bad argument #1 to 'get_body_data' (number expected, got string)",
        ),
        ("get_body_file(1)", "expecting 0 arguments but seen 1"),
        ("set_body_data()", "expecting 1 arguments but seen 0"),
        (
            "set_body_data(nil)",
            "bad argument #1 to 'set_body_data' (string expected, got nil)",
        ),
        ("set_body_data('x')", "request body not read yet"),
        ("set_body_file()", "expecting 1 or 2 arguments but seen 0"),
        ("set_body_file({})", "bad argument #1 to 'set_body_file' (string expected, got table)"),
        ("set_body_file('x')", "request body not read yet"),
        ("init_body(1, 2)", "expecting 0 or 1 argument but seen 2"),
        ("init_body()", "request body not read yet"),
        ("append_body('x')", "request_body not initialized"),
        ("append_body()", "expecting 1 arguments but seen 0"),
        ("finish_body()", "request_body not initialized"),
        ("finish_body(1)", "expecting 0 argument but seen 1"),
        (
            "get_post_args()",
            "no request body found; maybe you should turn on lua_need_request_body?",
        ),
        ("get_post_args('x')", "bad argument #1 to 'get_post_args' (number expected, got string)"),
    ],
)
def test_calls_that_raise(app_server: Start, call: str, message: str) -> None:
    code = f"ngx.print(select(2, pcall(function() ngx.req.{call} end)))"
    assert run(app_server, code).endswith(message)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("init_body('x')", "bad argument #1 to 'init_body' (number expected, got string)"),
        ("init_body(-1)", "bad size argument: -1"),
        (
            "set_body_file('/x', 1)",
            "bad argument #2 to 'set_body_file' (boolean expected, got number)",
        ),
        ("set_body_file('/no/such')", 'stat() "/no/such" failed'),
    ],
)
def test_calls_that_raise_when_the_body_is_read(app_server: Start, call: str, message: str) -> None:
    code = f"ngx.req.read_body() ngx.print(select(2, pcall(function() ngx.req.{call} end)))"
    assert run(app_server, code).endswith(message)


def test_a_body_on_its_way_that_was_discarded(app_server: Start) -> None:
    code = """
        ngx.req.discard_body()
        ngx.req.read_body()
        ngx.print(select(2, pcall(function() ngx.req.set_body_data("x") end)), ";", show(), ";",
            #ngx.req.get_post_args())
    """
    server = app_server(SHOW.replace("CODE", code))
    with server.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        message, shown, args = client.response().text.split(";")
        assert message.endswith("request body already discarded asynchronously")
        assert (shown, args) == ("data:nil", "0")
        client.send("cde")
        assert client.ask().status == 200


@pytest.mark.parametrize(
    ("body", "code", "shown"),
    [
        (b"a=1&b=%20&c&a=2", "a", '{"1","2"}'),
        (b"a=1&b=2&c=3", "n", "2 truncated"),
        (b"", "n", "0 nil"),
        (b"x" * 200, "f", "nil request body in temp file not supported"),
    ],
)
def test_post_args(app_server: Start, body: bytes, code: str, shown: str) -> None:
    source = {
        "a": "local a = ngx.req.get_post_args().a ngx.print('{\"', a[1], '\",\"', a[2], '\"}')",
        "n": "local a, err = ngx.req.get_post_args(2) local n = 0 "
        "for _ in pairs(a) do n = n + 1 end ngx.print(n, ' ', err)",
        "f": "local a, err = ngx.req.get_post_args() ngx.print(tostring(a), ' ', err)",
    }[code]
    app = "ngx.req.read_body() " + source
    assert run(app_server, app, body, client_body_buffer_size=100) == shown


def test_a_set_file_that_is_empty_is_no_body(app_server: Start, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    code = f"""
        ngx.req.read_body() ngx.req.set_body_file("{path}", true)
        ngx.print(show(), ngx.var.content_length)
        ngx.req.set_body_data("x") io.open("{path}", "w"):close()
    """
    assert run(app_server, code) == "data:nil0"


def test_expect_100_is_answered_when_the_body_is_read(app_server: Start) -> None:
    server = app_server(SHOW.replace("CODE", "ngx.req.read_body() ngx.print(show())"))
    with server.connect() as client:
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert client.head().status == 100
        client.send("ab")
        assert client.response().text == "data:ab"
