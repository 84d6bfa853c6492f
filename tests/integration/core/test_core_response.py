"""apisix.core.response on live requests."""

from collections.abc import Callable
from typing import Any

Start = Callable[..., Any]

APP = """
local response = require("apisix.core.response")
local cases = {
    ["/table"] = function() return response.exit(201, {a = 1}) end,
    ["/text"] = function() return response.exit(404, "one ", nil, "two") end,
    ["/status"] = function() return response.exit(204) end,
    ["/say"] = function() response.say("a") response.exit(nil, {b = 2}) response.exit("c") end,
    ["/headers"] = function()
        response.set_header("X-A", "1", "X-B", "2")
        response.set_header({["X-C"] = "3"})
        response.add_header("X-A", "4")
        response.set_header("X-B")
        response.exit(200, "x")
    end,
    ["/late"] = function()
        ngx.say("x") ngx.flush(true)
        local ok, err = pcall(response.set_header, "X-A", 1)
        ngx.say(tostring(ok), " ", err)
    end,
    ["/callback"] = function()
        response.exit_insert_callback(function(code, body, headers, conf)
            headers["X-Old"] = tostring(code)
            return conf.code, {wrapped = body}, headers
        end, {code = 418})
        response.exit_insert_callback(function(code, body, headers)
            body.twice = true
            return code, body, headers
        end)
        return response.exit(403, {message = "no"})
    end,
    ["/source"] = function()
        local ctx = {}
        ngx.ctx.api_ctx = ctx
        ngx.say(response.get_response_source(nil), response.get_response_source(ctx))
        ngx.say(response.get_response_source({_apisix_proxied = true}))
        ngx.say(response.get_response_source({_resp_source = "upstream"}))
        response.set_response_source(ctx, "upstream")
        ngx.say(response.get_response_source(ctx))
        ngx.say(response.get_last_upstream_token("-, 0.002"), " ",
                tostring(response.get_last_upstream_token("")))
        ngx.say(response.get_upstream_status({var = {upstream_status = "502, 200"}}))
    end,
    ["/marked"] = function()
        ngx.ctx.api_ctx = {}
        ngx.ctx.mark = true
        response.exit(400, "x")
    end,
}
return {
    content = function() return cases[ngx.var.uri]() end,
    header_filter = function()
        if ngx.ctx.mark then
            ngx.header["X-Source"] = response.get_response_source(ngx.ctx.api_ctx)
        end
    end,
}
"""


def test_exit_and_say(gateway: Start) -> None:
    gw = gateway(APP)
    table, text, status = gw.request("/table"), gw.request("/text"), gw.request("/status")
    assert (table.status, table.body) == (201, '{"a":1}\n')
    assert (text.status, text.body) == (404, "one two")
    assert (status.status, status.body) == (204, "")
    assert gw.request("/say").body == 'a{"b":2}\nc'


def test_exit_marks_the_response_as_apisix(gateway: Start) -> None:
    assert gateway(APP).request("/marked").header("X-Source") == ["apisix"]


def test_headers(gateway: Start) -> None:
    gw = gateway(APP)
    response = gw.request("/headers")
    assert response.header("X-A") == ["1", "4"]
    assert response.header("X-B") == []
    assert response.header("X-C") == ["3"]
    assert "false " in (late := gw.request("/late").body)
    assert "headers have already been sent" in late


def test_exit_callbacks_change_code_body_and_headers_in_order(gateway: Start) -> None:
    response = gateway(APP).request("/callback")
    assert response.status == 418
    assert response.header("X-Old") == ["403"]
    assert sorted(response.body.strip()) == sorted('{"wrapped":{"message":"no"},"twice":true}')


def test_response_sources(gateway: Start) -> None:
    lines = gateway(APP).request("/source").body.splitlines()
    assert lines == ["apisixapisix", "nginx", "upstream", "upstream", "0.002 nil", "200"]


FILTER = """
local response = require("apisix.core.response")
return {
    content = function()
        for _, part in ipairs({"hello ", "big ", "world"}) do ngx.print(part) ngx.flush(true) end
    end,
    header_filter = response.clear_header_as_body_modified,
    body_filter = function()
        local ctx = ngx.ctx
        ctx._plugin_name = "p"
        local max = tonumber(ngx.var.arg_max)
        local copy = ngx.var.arg_copy ~= nil
        local body = response.hold_body_chunk(ctx, copy, max)
        if body then
            if copy then ngx.log(ngx.WARN, "body=<", body, ">") end
            if not copy then ngx.arg[1] = "<" .. body .. ">" end
        end
    end,
}
"""


def test_hold_body_chunk_gives_the_whole_body_at_its_end(gateway: Start) -> None:
    assert gateway(FILTER).request("/").body == "<hello big world>"


def test_hold_body_chunk_gives_a_cut_copy_as_soon_as_that_much_has_come(gateway: Start) -> None:
    gw = gateway(FILTER)
    assert gw.request("/?copy=1&max=8").body == "hello big world"
    assert gw.log().count("body=<hello bi>") == 1
