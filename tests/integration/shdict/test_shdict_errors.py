"""An error in the middle of an operation costs its request, and nobody waits for the lock."""

from typing import Any

APP = """
local dict = ngx.shared["plugin-limit-count"]
local locked = require("ngx.shdict.lock").locked

local function fail()
    locked(dict[1], function() error("in the middle") end)
end

local answers = {
    ["/fail"] = fail,
    ["/fail-and-go-on"] = function()
        pcall(fail)
        ngx.sleep(0)
        ngx.say(dict:incr("n", 1, 0))
    end,
    ["/count"] = function() ngx.say(dict:incr("n", 1, 0)) end,
}
return { content = function() return answers[ngx.var.uri]() end }
"""


def test_the_next_request_finds_a_whole_dictionary(app_server: Any) -> None:
    server = app_server(APP)
    assert server.ask("/count").body == b"1nilfalse\n"
    assert server.ask("/fail").status == 500
    assert server.ask("/count").body == b"2nilfalse\n"


def test_who_survives_the_error_and_waits_finds_it_whole_too(app_server: Any) -> None:
    server = app_server(APP)
    assert server.ask("/fail-and-go-on").body == b"1nilfalse\n"
