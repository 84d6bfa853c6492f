"""ngx.encode_args and decode_args, and the reading of the request's own query string."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.luajit21 import LuaError

Call = Callable[..., Any]
RunLua = Callable[..., Any]
PROPERTY = settings(max_examples=200, derandomize=True, deadline=None)

# What a query string was read into, as text: keys in order, arrays as [a,b].
SHOW = """
local function show(value)
    if type(value) ~= "table" then
        return tostring(value)
    end
    local parts = {}
    for i, item in ipairs(value) do
        parts[i] = tostring(item)
    end
    return "[" .. table.concat(parts, ",") .. "]"
end
local function show_args(args, err)
    local keys = {}
    for key in pairs(args) do
        keys[#keys + 1] = key
    end
    table.sort(keys)
    for i, key in ipairs(keys) do
        keys[i] = key .. ":" .. show(args[key])
    end
    return table.concat(keys, " ") .. (err and " " .. err or "")
end
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('"a=1&b=2"', "a:1 b:2"),
        ('"a=1&a=2&a"', "a:[1,2,true]"),
        ('"a"', "a:true"),
        ('"a="', "a:"),
        ('"=x&a=1&&="', "a:1"),
        ('"a=b=c"', "a:b=c"),
        ('"a%20b=c+d"', "a b:c d"),
        ('""', ""),
        ('"a&b&c", 2', "a:true b:true truncated"),
        ('"a&b", 2', "a:true b:true"),
        ('"a&b&", 2', "a:true b:true truncated"),
        ('"&&a", 2', " truncated"),
        ('"a&b&c", 0', "a:true b:true c:true"),
        ("12", "12:true"),
    ],
)
def test_decoding(run_lua: RunLua, arguments: str, expected: str) -> None:
    assert run_lua(f"{SHOW} return show_args(ngx.decode_args({arguments}))") == expected


def test_a_hundred_arguments_are_read_by_default(run_lua: RunLua) -> None:
    code = 'local args, err = ngx.decode_args(("a=1&"):rep(150)) return #args.a, err'
    assert run_lua(code) == (100, "truncated")


@pytest.mark.parametrize(
    ("query", "limit", "expected"),
    [
        ("a=1&b", 100, "a:1 b:true"),
        ("a&b&c", 2, "a:true b:true truncated"),
        ("&&a", 2, "a:true truncated"),
        ("a&b", 2, "a:true b:true"),
        ("a&", 1, "a:true truncated"),
        ("a&b&c", 0, "a:true b:true c:true"),
        ("a&b", -1, "a:true b:true"),
        ("", 1, ""),
    ],
)
def test_reading_the_query_of_the_request(
    run_lua: RunLua, query: str, limit: int, expected: str
) -> None:
    code = f'{SHOW} return show_args(require("ngx.api.querystring").decode_uri_args(...))'
    assert run_lua(code, query.encode(), limit) == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("{}", ""),
        ("{foo = 3}", "foo=3"),
        ('{["b r"] = "hello world"}', "b%20r=hello%20world"),
        ('{baz = {32, "hello"}}', "baz=32&baz=hello"),
        ("{a = true}", "a"),
        ("{a = false}", ""),
        ("{a = {}}", ""),
        ("{a = {true, false, 1.5}}", "a&a=1.5"),
        ('{a = ""}', "a="),
    ],
)
def test_encoding(run_lua: RunLua, table: str, expected: str) -> None:
    assert run_lua(f"return ngx.encode_args({table})") == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ngx.encode_args()", "expecting 1 argument but seen 0"),
        ("ngx.encode_args({}, {})", "expecting 1 argument but seen 2"),
        ("ngx.encode_args(nil)", "bad argument #1 to 'encode_args' (table expected, got nil)"),
        ("ngx.encode_args({1})", 'attempt to use a non-string key in the "args" option table'),
        ("ngx.encode_args({a = ngx.null})", "attempt to use userdata as query arg value"),
        ("ngx.encode_args({a = {{}}})", "attempt to use table as query arg value"),
        ("ngx.encode_args({a = print})", "attempt to use function as query arg value"),
        ("ngx.decode_args()", "expecting 1 or 2 arguments but seen 0"),
        ("ngx.decode_args(1, 2, 3)", "expecting 1 or 2 arguments but seen 3"),
        ("ngx.decode_args(nil)", "bad argument #1 to 'decode_args' (string expected, got nil)"),
        (
            "ngx.decode_args('', {})",
            "bad argument #2 to 'decode_args' (number expected, got table)",
        ),
    ],
)
def test_mistake_is_reported_at_the_line_of_the_caller(
    run_lua: RunLua, code: str, message: str
) -> None:
    with pytest.raises(LuaError, match=re.escape(f'"<python>"]:2: {message}')):
        run_lua(f"local ngx = ngx\nlocal x = {code} return x")


@PROPERTY
@given(st.dictionaries(st.binary(min_size=1, max_size=20), st.binary(max_size=20), max_size=8))
def test_decoding_undoes_encoding(call: Call, args: dict[bytes, bytes]) -> None:
    make = "function(...) local t = {} for i = 1, select('#', ...), 2 do t[select(i, ...)] = "
    make += "select(i + 1, ...) end return ngx.decode_args(ngx.encode_args(t)) end"
    flat = [item for pair in args.items() for item in pair]
    decoded = {k.encode("latin-1"): v.encode("latin-1") for k, v in call(make, *flat).items()}
    assert decoded == args


def test_a_long_string_without_values_is_read_in_linear_time(call: Call) -> None:
    short, long = b"a&" * 1000, b"a&" * 100_000
    counter = "function(s) return #ngx.decode_args(s, 0).a end"
    assert (call(counter, short), call(counter, long)) == (1000, 100_000)
