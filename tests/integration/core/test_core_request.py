"""apisix.core.request on live requests."""

from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]

HEAD = """
local core_ctx = require("apisix.core.ctx")
local request = require("apisix.core.request")
local function answer(ctx)
    local function show(...)
        local parts = {}
        for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
        ngx.say(table.concat(parts, " "))
    end
"""
TAIL = """
end
return {
    content = function()
        local ctx = {}
        ngx.ctx.api_ctx = ctx
        core_ctx.set_vars_meta(ctx)
        answer(ctx)
    end,
}
"""


def test_what_a_request_says_of_itself(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        show(request.get_method(), request.get_http_version(), request.get_scheme(ctx),
             request.get_host(), request.get_ip(ctx), request.get_remote_client_ip(ctx))
        show(request.get_port(ctx), type(request.get_remote_client_port(ctx)))
        """
        + TAIL
    )
    lines = gw.request("/", "PUT").body.splitlines()
    assert lines == ["PUT 1.1 http test.com 127.0.0.1 127.0.0.1", f"{gw.port} number"]


def test_headers_are_read_in_any_case_the_first_value_first(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        local h = request.header
        show(h(ctx, "X-One"), h(nil, "x-one"), h(ctx, "none"))
        show(table.concat(request.headers(ctx)["x-two"], ","), request.header(ctx, "X-Two"))
        """
        + TAIL
    )
    lines = gw.request(headers=("x-ONE: 1", "X-Two: a", "X-Two: b")).body.splitlines()
    assert lines == ["1 1 nil", "a,b a"]


def test_headers_that_are_changed_by_anyone_are_seen_at_once(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        local h = function(name) return request.header(ctx, name) end
        show(h("X"), ctx.var.http_x, ctx.var.http_x_y)
        request.set_header(ctx, "X", "2")
        request.add_header(ctx, "X", "3")
        request.set_header(ctx, "X-Y", "y")
        show(table.concat(request.headers(ctx).x, ","), ctx.var.http_x, ctx.var.http_x_y)
        ngx.req.set_header("X", "4")
        show(h("X"))
        ngx.req.set_header("X", "5")
        request.set_header(ctx, "Z", "z")
        show(h("X"), h("Z"), ngx.req.get_headers()["z"])
        request.set_header(ctx, "X", nil)
        show(h("X"), ctx.var.http_x)
        """
        + TAIL
    )
    assert gw.request(headers=("X: 1",)).body.splitlines() == [
        "1 1 nil",
        "2,3 2, 3 y",
        "4",
        "5 z z",
        "nil nil",
    ]


def test_the_old_signature_works_with_a_warning(gateway: Start) -> None:
    gw = gateway(
        HEAD + 'request.set_header("X", "old") show(request.header(ctx, "X"))' + TAIL,
    )
    assert gw.request().body == "old\n"
    assert "DEPRECATED: use set_header(ctx, header_name, header_value) instead" in gw.log()


def test_a_header_name_must_be_a_string(gateway: Start) -> None:
    gw = gateway(HEAD + 'show(pcall(request.set_header, ctx, 1, "x"))' + TAIL)
    assert 'invalid header name "1": got number, expected string' in gw.request().body


def test_arguments(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        local args = request.get_uri_args(ctx)
        show(args.k149, args == request.get_uri_args(ctx))
        request.set_uri_args(ctx, {a = "1 2"})
        show(ngx.var.args, request.get_uri_args(ctx).a)
        """
        + TAIL
    )
    query = "&".join(f"k{i}=v{i}" for i in range(150))
    assert gw.request(f"/?{query}").body.splitlines() == ["v149 true", "a=1%202 1 2"]


def test_post_arguments(gateway: Start) -> None:
    gw = gateway(HEAD + "show(request.get_post_args(ctx).a, request.get_post_args().b)" + TAIL)
    headers = ("Content-Type: application/x-www-form-urlencoded",)
    assert gw.request("/", "POST", headers, b"a=1&b=x%20y").body == "1 x y\n"


@pytest.mark.parametrize(
    ("size", "body", "expected"),
    [
        ("nil", b"abc", "abc nil"),
        ("3", b"abc", "abc nil"),
        ("2", b"abc", "nil request size 3 is greater than the maximum size 2 allowed"),
        ("nil", b"", "nil nil"),
    ],
)
def test_get_body(gateway: Start, size: str, body: bytes, expected: str) -> None:
    gw = gateway(HEAD + f"local b, err = request.get_body({size}, ctx) show(b, err)" + TAIL)
    assert gw.request("/", "POST", (), body).body == expected + "\n"


def test_a_body_of_unknown_length_is_measured_once_read(gateway: Start) -> None:
    gw = gateway(HEAD + "show(request.get_body(2, ctx))" + TAIL)
    reply = gw.request("/", "POST", ("Transfer-Encoding: chunked",), chunked=(b"ab", b"c"))
    assert reply.body == "nil request size 3 is greater than the maximum size 2 allowed\n"


def test_json_bodies(gateway: Start) -> None:
    gw = gateway(
        HEAD
        + """
        local object, err = request.get_json_request_body_table()
        if not object then return show(object, err.message) end
        show(object.a, object == request.get_json_request_body_table())
        local form, mismatch = request.get_request_body_table(ctx, "multipart/form-data")
        show(form, mismatch)
        """
        + TAIL
    )
    assert gw.request("/", "POST", (), b'{"a": 1}').body.splitlines() == [
        "1 true",
        "nil request body type mismatch: cached type is application/json, "
        "expected multipart/form-data",
    ]
    assert gw.request("/", "POST").body == "nil could not get body: request body is empty\n"
    assert gw.request("/", "POST", (), b"{").body.startswith(
        "nil could not parse JSON request body: "
    )


def test_a_body_of_another_type_is_refused_with_the_types_there_are(gateway: Start) -> None:
    gw = gateway(HEAD + "show(request.get_request_body_table(ctx))" + TAIL)
    assert gw.request("/", "POST", ("Content-Type: text/plain",), b"x").body == (
        "nil unsupported content-type: text/plain, supported types are: application/json, "
        "application/x-www-form-urlencoded, multipart/form-data\n"
    )
