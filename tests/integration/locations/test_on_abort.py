"""What comes of a client that goes away while its request runs."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

APP = """
local function note(what)
    ngx.log(ngx.WARN, what)
end
local function wait()
    note("begun")
    ngx.sleep(1000)
    note("woken")
end
local places = {
    plain = wait,
    exits = function()
        assert(ngx.on_abort(function() note("called") ngx.exit(499) end))
        wait()
    end,
    said = function()
        assert(ngx.on_abort(function() note("called") ngx.exit(444) end))
        ngx.say("x")
        ngx.flush(true)
        wait()
    end,
    goes_on = function()
        local semaphore = require("ngx.semaphore").new()
        assert(ngx.on_abort(function() note("called") semaphore:post(1) end))
        note("begun")
        semaphore:wait(1000)
        note("gone on")
    end,
    waits = function()
        assert(ngx.on_abort(function() ngx.sleep(0) note("called") ngx.exit(499) end))
        wait()
    end,
    fails = function()
        local semaphore = require("ngx.semaphore").new()
        assert(ngx.on_abort(function() semaphore:post(1) error("on purpose") end))
        note("begun")
        semaphore:wait(1000)
        note("gone on")
    end,
    subrequest = function() ngx.location.capture("/plain") end,
    nested = function() ngx.location.capture("/subrequest") end,
    thread = function()
        ngx.thread.spawn(wait)
        ngx.sleep(1000)
    end,
    socket = function()
        local sock = ngx.socket.tcp()
        sock:connect("127.0.0.1", tonumber(ngx.var.server_port))
        note("begun")
        sock:receive()
    end,
}
local locations = {}
for name, content in pairs(places) do
    locations[#locations + 1] = { path = "/" .. name, content = content }
end
locations[#locations + 1] = {
    path = "/rewrite", rewrite = wait, content = function() note("content") end,
}
return {
    settings = { check_client_abort = true },
    log = function() note("log " .. ngx.var.uri .. " " .. ngx.status) end,
    locations = locations,
}
"""


def leave(server: AppServer, target: str, mark: str = "begun") -> None:
    """Ask for target, and go away when it has begun."""
    with server.connect() as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
        server.log.wait_for(mark)


@pytest.mark.parametrize(
    "name", ["plain", "exits", "waits", "subrequest", "nested", "thread", "socket", "rewrite"]
)
def test_a_request_ends_with_its_client(app_server: Start, name: str) -> None:
    server = app_server(APP)
    before = server.descriptors()
    leave(server, f"/{name}")
    log = server.log.wait_for(f"log /{name} 499")
    assert log.count("[lua]") == log.count("begun") + log.count("called") + 1  # one log phase
    assert ("called" in log) == (name in ("exits", "waits"))
    assert "woken" not in log
    server.settle()
    assert server.descriptors() == before


def test_a_response_that_has_begun_keeps_its_status(app_server: Start) -> None:
    server = app_server(APP)
    leave(server, "/said")
    log = server.log.wait_for("log /said 200")
    assert "called" in log
    assert "[error]" not in log


@pytest.mark.parametrize("name", ["goes_on", "fails"])
def test_a_callback_may_let_the_request_go_on(app_server: Start, name: str) -> None:
    server = app_server(APP)
    leave(server, f"/{name}")
    log = server.log.wait_for(f"log /{name} 200")
    assert "gone on" in log
    assert ("lua user thread aborted: runtime error: " in log) == (name == "fails")


def test_a_client_that_was_gone_before_the_request_began(app_server: Start) -> None:
    server = app_server(APP)
    with server.connect() as client:
        client.send("GET /exits HTTP/1.1\r\nHost: a\r\n\r\n")
    server.log.wait_for("log /exits 499")


def test_what_is_registered_and_what_is_not(app_server: Start) -> None:
    app = """
    local function register()
        ngx.say(tostring(ngx.on_abort(function() end)))
        ngx.say(select(2, ngx.on_abort(function() end)))
    end
    local function twice()
        ngx.on_abort(function() ngx.log(ngx.ERR, "never") end)
    end
    return { settings = { check_client_abort = true }, locations = {
        { path = "/on", content = register },
        { path = "/phases", rewrite = twice, content = register },
        { path = "/off", settings = { check_client_abort = false }, content = function()
            ngx.say(select(2, ngx.on_abort(function() end)))
        end },
        { path = "/bad", content = function()
            ngx.say(select(2, pcall(ngx.on_abort, string.format)))
        end },
    } }
    """
    server = app_server(app)
    with server.connect() as client:
        assert client.ask("/on").text == "1\nduplicate call\n"
        assert client.ask("/phases").text == "1\nduplicate call\n"
        assert client.ask("/off").text == "lua_check_client_abort is off\n"
        assert client.ask("/bad").text == "bad argument #1 to 'on_abort' (Lua function expected)\n"
    server.settle()
    assert "never" not in server.log.text


def test_without_the_setting_a_request_goes_on(app_server: Start) -> None:
    app = """
    local semaphore = require("ngx.semaphore").new()
    return { locations = {
        { path = "/wait", content = function()
            ngx.log(ngx.WARN, "begun")
            semaphore:wait(1000)
            ngx.log(ngx.WARN, "gone on")
        end },
        { path = "/post", content = function() semaphore:post(1) ngx.say("x") end },
    } }
    """
    server = app_server(app)
    leave(server, "/wait")
    server.ask("/post")
    server.log.wait_for("gone on")
