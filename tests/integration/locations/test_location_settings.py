"""Settings, default types and limits are those of the location that a request is at."""

from collections.abc import Callable

from support.app_server import AppServer

Start = Callable[..., AppServer]

APP = """
local function say() ngx.say("x") end
local function read()
    ngx.req.read_body()
    ngx.say(#(ngx.req.get_body_data() or ""))
end
return {
    settings = { client_max_body_size = 10 },
    default_type = "app/type",
    error_pages = { [413] = "/large" },
    locations = {
        { path = "/", content = read },
        { path = "/more", settings = { client_max_body_size = 20 }, content = read, locations = {
            { path = "/more/own", content = read },
        } },
        { path = "/large", content = function() ngx.say("too large") end },
        { path = "/type", default_type = "its/type", content = say },
        { path = "/to/type", content = function() ngx.exec("/type") end },
        { path = "/no/type", settings = { use_default_type = false }, content = say },
    },
}
"""


def test_the_limit_of_a_body_is_the_location_s(app_server: Start) -> None:
    server = app_server(APP)
    assert server.ask("/", method="POST", body=b"x" * 10).text == "10\n"
    assert server.ask("/more", method="POST", body=b"x" * 20).text == "20\n"
    assert server.ask("/more/own", method="POST", body=b"x" * 20).text == "20\n"
    response = server.ask("/", method="POST", body=b"x" * 11)
    assert (response.status, response.text) == (413, "too large\n")
    assert server.ask("/more", method="POST", body=b"x" * 21).status == 413
    server.log.wait_for("client intended to send too large body: 11 bytes")


def test_a_chunked_body_is_measured_as_it_comes(app_server: Start) -> None:
    server = app_server(APP)
    with server.connect() as client:
        client.send("POST /more HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send("15\r\n" + "x" * 21 + "\r\n0\r\n\r\n")
        assert client.response().status == 413


def test_the_type_is_the_location_s(app_server: Start) -> None:
    server = app_server(APP)
    assert server.ask("/").header("Content-Type") == "app/type"
    assert server.ask("/type").header("Content-Type") == "its/type"
    assert server.ask("/to/type").header("Content-Type") == "its/type"
    assert server.ask("/no/type").header("Content-Type") is None


def test_how_long_a_connection_is_kept_is_the_last_location_s_matter(app_server: Start) -> None:
    app = """
    local function say() ngx.say("x") end
    return { locations = {
        { path = "/", content = say },
        { path = "/short", settings = { keepalive_timeout = 5 }, content = say },
        { path = "/once", settings = { keepalive_requests = 1 }, content = say },
    } }
    """
    server = app_server(app, virtual=True)
    with server.connect() as long, server.connect() as short, server.connect() as once:
        for client, target in ((long, "/"), (short, "/short"), (once, "/once")):
            assert client.ask(target).status == 200
        assert once.closed()
        server.advance(6)
        assert short.closed()
        assert long.ask("/").status == 200


def test_the_log_phase_of_subrequests_is_run_where_it_is_asked_for(app_server: Start) -> None:
    app = """
    local function ask() ngx.location.capture(ngx.var.arg_to) ngx.say("x") end
    local function leave() ngx.exit(404) end
    return {
        log = function() ngx.log(ngx.WARN, "log of ", ngx.var.uri, " ", ngx.status) end,
        locations = {
            { path = "/ask", content = ask },
            { path = "/quiet", content = leave },
            { path = "/loud", settings = { log_subrequest = true }, content = leave },
        },
    }
    """
    server = app_server(app)
    server.ask("/ask?to=/quiet")
    server.ask("/ask?to=/loud")
    server.log.wait_for("log of /ask 200", count=2)
    assert len(server.log.lines("log of /loud 404")) == 1
    assert server.log.lines("log of /quiet") == []


def test_a_timer_has_the_settings_of_who_made_it(app_server: Start) -> None:
    app = """
    local function connect()
        local sock = ngx.socket.tcp()
        local ok, err = sock:connect("127.0.0.1", 1)
        ngx.log(ngx.WARN, "connected: ", ok, " ", err)
    end
    local function later() ngx.timer.at(0, connect) end
    return { locations = {
        { path = "/loud", content = later },
        { path = "/quiet", settings = { socket_log_errors = false }, content = later },
    } }
    """
    server = app_server(app)
    server.ask("/quiet")
    server.log.wait_for("connected: nil connection refused")
    assert server.log.lines("connect() failed") == []
    server.ask("/loud")
    server.log.wait_for("connected: nil connection refused", count=2)
    assert len(server.log.lines("connect() failed")) == 1
