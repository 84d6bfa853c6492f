"""ngx.ctx of a handshake shows through in the requests of its connection."""

from collections.abc import Callable
from typing import Any

APP = """
local function add(amount) ngx.ctx.count = (ngx.ctx.count or 0) + amount end
return {
    ssl_client_hello = function() add(1) end,
    ssl_certificate = function()
        add(10)
        ngx.ctx.shared = {seen = 0}
    end,
    content = function()
        add(100)
        local shared = ngx.ctx.shared
        shared.seen = shared.seen + 1
        ngx.say(ngx.ctx.count, " ", shared.seen)
    end,
}
"""


def test_a_request_begins_with_the_handshake_s_ctx(tls_server: Callable[..., Any]) -> None:
    server = tls_server(APP)
    with server.connect() as client:
        assert [client.ask().text for _ in range(2)] == ["111 1\n", "111 2\n"]
    assert server.ask().text == "111 1\n"


def test_ctx_takes_tables_only(app_server: Callable[..., Any]) -> None:
    server = app_server(
        "return { content = function()"
        " ngx.say(select(2, pcall(function() ngx.ctx = nil end)))"
        " ngx.ctx = {a = 1} ngx.say(ngx.ctx.a) end }"
    )
    text = server.ask().text
    assert text.endswith("app.lua:1: ctx should be a table while getting a nil\n1\n")
