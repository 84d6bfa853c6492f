"""Where phases do on purpose what they do not do in nginx with ngx_lua."""

from collections.abc import Callable

from support.app_server import AppServer


def test_a_304_says_nothing_of_a_length(app_server: Callable[..., AppServer]) -> None:
    response = app_server("return { content = function() ngx.exit(304) end }").ask()
    assert response.header("Content-Length") is None  # nginx says 0, which is not what a GET has


def test_a_204_has_no_body(app_server: Callable[..., AppServer]) -> None:
    source = 'return { content = function() ngx.status = 204 ngx.say("x") end }'
    with app_server(source).connect() as client:
        for _ in range(2):  # nginx sends the body all the same
            assert client.ask().header("Content-Length") is None


def test_a_body_filter_that_ends_the_body_keeps_the_connection(
    app_server: Callable[..., AppServer],
) -> None:
    source = """
    return {
        content = function() ngx.say("one") ngx.say("two") ngx.say("three") end,
        body_filter = function() ngx.arg[2] = ngx.arg[1]:find("two") ~= nil end,
    }
    """
    with app_server(source).connect() as client:
        for _ in range(2):
            assert client.ask().text == "one\ntwo\n"


def test_a_flush_is_no_call_of_the_body_filter(app_server: Callable[..., AppServer]) -> None:
    source = """
    return {
        content = function() ngx.say("a") ngx.flush(true) ngx.say("b") end,
        body_filter = function() ngx.arg[1] = #ngx.arg[1] .. tostring(ngx.arg[2]) .. ";" end,
    }
    """
    assert app_server(source).ask().text == "2false;2false;0true;"


def test_a_page_that_a_body_filter_shortens_ends_the_connection(
    app_server: Callable[..., AppServer],
) -> None:
    source = """
    return {
        content = function() ngx.exit(403) end,
        body_filter = function() ngx.arg[1] = nil end,
    }
    """
    server = app_server(source)
    with server.connect() as client:  # nginx waits for the rest for ever
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head().status == 403
        assert client.closed()
    server.log.wait_for("the body is shorter than its Content-Length: 145 bytes are missing")


def test_a_body_longer_than_its_length_is_cut(app_server: Callable[..., AppServer]) -> None:
    source = """
    return { content = function()
        ngx.header["Content-Length"] = 4
        ngx.print("123")
        ngx.print("456")
        ngx.print("789")
    end }
    """
    server = app_server(source)
    with server.connect() as client:  # in nginx the rest becomes the beginning of the next response
        for _ in range(2):
            assert client.ask().text == "1234"
    server.log.wait_for("the body is longer than its Content-Length: 2 bytes cut off")


def test_an_error_in_the_header_filter_is_a_500(app_server: Callable[..., AppServer]) -> None:
    source = """
    return {
        content = function() ngx.say("x") end,
        header_filter = function() error("oops") end,
    }
    """
    server = app_server(source)
    assert server.ask().status == 500  # nginx leaves the client waiting
    assert "failed to run header_filter_by_lua*: " in server.log.wait_for("oops")


def test_an_error_in_the_body_filter_is_a_500_while_nothing_is_sent(
    app_server: Callable[..., AppServer],
) -> None:
    source = """
    return {
        content = function() ngx.say("x") ngx.say("y") end,
        body_filter = function() error("oops") end,
    }
    """
    server = app_server(source)
    assert server.ask().status == 500  # nginx closes the connection without a word
    assert "failed to run body_filter_by_lua*: " in server.log.wait_for("oops")


def test_ngx_exit_in_the_header_filter_makes_another_response(
    app_server: Callable[..., AppServer],
) -> None:
    source = """
    return {
        content = function() ngx.say("x") ngx.say("y") end,
        header_filter = function() ngx.header.x = "kept" return ngx.exit(503) end,
    }
    """
    with app_server(source).connect() as client:
        for _ in range(2):  # nginx sends the page, and breaks the connection off
            response = client.ask()
            assert response.status == 503
            assert response.header("X") == "kept"
            assert "503 Service Temporarily Unavailable" in response.text


def test_several_filters_that_fail_end_in_a_500(app_server: Callable[..., AppServer]) -> None:
    source = """
    return {
        access = function() error("oops 1") end,
        content = function() end,
        header_filter = function() error("oops 2") end,
        body_filter = function() error("oops 3") end,
        log = function() error("oops 4") end,
    }
    """
    server = app_server(source)
    for _ in range(2):
        assert server.ask().status == 500
    assert server.log.wait_for("oops 4", count=2).count("oops 3") == 0
