"""apisix.core.ctx: variables on live requests."""

from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]

# One route per test: the code between HEAD and TAIL has `ctx` and `var`, and says what it finds.
HEAD = """
local core_ctx = require("apisix.core.ctx")
local names = require("apisix.core.ctx.names")
local request = require("apisix.core.request")
core_ctx.register_var("zone", function(ctx) return ctx.zone end)
core_ctx.register_var("count", function(ctx)
    ctx.counted = (ctx.counted or 0) + 1
    return ctx.counted
end, {no_cacheable = true})
local variables = {}
for _, name in ipairs(names.WRITTEN_THROUGH) do variables[name] = "" end
local function answer(ctx, var)
    local function show(...)
        local parts = {}
        for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
        ngx.say(table.concat(parts, " "))
    end
"""
TAIL = """
end
return {
    variables = variables,
    content = function()
        local ctx = {}
        ngx.ctx.api_ctx = ctx
        core_ctx.set_vars_meta(ctx)
        answer(ctx, ctx.var)
    end,
    log = function()
        local ctx = ngx.ctx.api_ctx
        core_ctx.release_vars(ctx)
        core_ctx.release_vars(ctx)
    end,
}
"""


def test_variables_of_nginx_and_prefixes(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        show(var.remote_addr, var.uri, var.request_uri, var.args, var.is_args, var.host, var.method)
        show(var.arg_a, var.arg_b, var.arg_none, var.arg_flag)
        show(var.http_x_name, var["http_X-Name"], var.http_none)
        show(var.cookie_a, var["cookie_x-b"], var.cookie_none, var.no_such_variable)
        """
        + TAIL
    )
    headers = ("X-Name: n", "Cookie: a=1; x-b = 2 ; c=3")
    lines = gw.request("/p/x?a=1&a=2&b=%20b&flag", headers=headers).body.splitlines()
    assert lines == [
        "127.0.0.1 /p/x /p/x?a=1&a=2&b=%20b&flag a=1&a=2&b=%20b&flag ? test.com GET",
        "1  b nil true",
        "n n nil",
        "1 2 nil nil",
    ]


def test_a_request_without_cookies_has_none_and_logs_nothing(gateway: Start) -> None:
    gw = gateway(HEAD + "show(var.cookie_a, var.cookie)" + TAIL)
    assert gw.request().body == "nil nil\n"
    assert "failed to fetch cookie" not in gw.log()


def test_fields_of_ctx_and_registered_variables(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        show(var.route_id, var.resp_body == "", var.zone)
        ctx.route_id, ctx.zone, ctx.curr_req_matched = 7, "z", {id = "42"}
        show(var.route_id, var.zone, var.uri_param_id, var.uri_param_x)
        ctx.route_id = 8
        show(var.route_id, var.count, var.count)
        """
        + TAIL
    )
    assert gw.request().body.splitlines() == ["nil true nil", "7 z 42 nil", "7 1 2"]


def test_an_assignment_is_seen_and_reaches_the_nginx_variable_where_it_must(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        var.upstream_uri = "/new"
        show(var.upstream_uri, ngx.var.upstream_uri)
        var.upstream_uri = "/newer"
        show(var.upstream_uri, ngx.var.upstream_uri)
        var.upstream_uri = nil
        show(var.upstream_uri, ngx.var.upstream_uri)
        var.my_own = "x"
        show(var.my_own, ngx.var.my_own)
        ctx.upstream_unresolved_host = "h"
        show(var.upstream_unresolved_host)
        """
        + TAIL
    )
    expected = ["/new /new", "/newer /newer", "nil nil", "x nil", "h"]
    assert gw.request().body.splitlines() == expected


def test_values_are_kept_but_not_those_that_follow_the_arguments(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        show(var.args, var.uri, var.http_x, var.arg_a)
        ngx.req.set_uri("/other")
        request.set_uri_args(ctx, "a=2")
        ngx.req.set_header("X", "2")
        show(var.args, var.uri, var.http_x, var.arg_a, request.get_uri_args(ctx).a)
        request.set_header(ctx, "X", "3")
        show(var.http_x)
        """
        + TAIL
    )
    assert gw.request("/u?a=1", headers=("X: 1",)).body.splitlines() == [
        "a=1 /u 1 1",
        "a=2 /u 1 1 2",
        "3",
    ]


@pytest.mark.parametrize("key", ["nil", "2222", "{}"])
def test_a_key_that_is_no_string_raises(gateway: Start, key: str) -> None:
    gw = gateway(HEAD + f"show(pcall(function() return var[{key}] end))" + TAIL)
    assert "false" in (body := gw.request().body)
    assert "invalid argument, expect string value" in body


def test_a_getter_must_be_a_function(gateway: Start) -> None:
    gw = gateway(HEAD + 'show(pcall(core_ctx.register_var, "x", "y"))' + TAIL)
    assert "the getter of registered var should be a function" in gw.request().body


def test_the_tables_of_one_request_do_not_leak_into_the_next(gateway: Start) -> None:
    gw = gateway(
        HEAD + 'show(var.my_own, var.upstream_uri) var.my_own, var.upstream_uri = "x", "/y"' + TAIL
    )
    for _ in range(3):
        assert gw.request().body == "nil \n"


FORM = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
JSON = "Content-Type: application/json"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        (FORM, b"a=1&a=2&c=x", "1 nil table"),
        (JSON, b'{"a": {"b": "deep"}, "c": [1]}', "nil deep table"),
        (
            MULTIPART,
            b'--b\r\nContent-Disposition: form-data; name="c"\r\n\r\n1\r\n--b--',
            "nil nil 1",
        ),
        ("X: y", b"a=1", "nil nil nil"),
    ],
)
def test_variables_of_the_body(gateway: Start, header: str, body: bytes, expected: str) -> None:
    gw = gateway(
        HEAD
        + """
        local c = var["post_arg.c"]
        if c == "x" then c = {} end
        show(var.post_arg_a, var["post_arg.a.b"], type(c) == "table" and "table" or c)
        """
        + TAIL
    )
    assert gw.request("/", "POST", (header,), body).body == expected + "\n"


def test_a_body_that_is_replaced_is_parsed_again(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        show(var["post_arg.a"], var["post_arg.b"])
        ngx.req.set_body_data('{"b": 2}')
        show(var["post_arg.a"], var["post_arg.b"])
        """
        + TAIL
    )
    assert gw.request("/", "POST", (JSON,), b'{"a": 1}').body == "1 nil\nnil 2\n"


def test_a_body_over_the_limit_is_not_read(gateway: Start) -> None:
    config = "apisix:\n  max_post_args_readable_size: 1\n"
    gw = gateway(HEAD + 'show(var["post_arg.a"])' + TAIL, config)
    body = b'{"a": "' + b"x" * (2 << 20) + b'"}'
    assert gw.request("/", "POST", (JSON,), body).body == "nil\n"
    assert "is greater than the maximum size 1048576 allowed" in gw.log()


def test_what_needs_an_absent_module_says_so(gateway: Start) -> None:
    gw = gateway(HEAD + 'show(var.graphql_name, var["post_arg.a[*]"])' + TAIL)
    assert gw.request("/", "POST", (JSON,), b'{"a": [1]}').body == "nil nil\n"
    assert "need the Lua module 'graphql'" in gw.log()
    assert "needs the Lua module 'jsonpath'" in gw.log()
