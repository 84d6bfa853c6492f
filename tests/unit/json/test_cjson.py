"""What OpenResty's fork of lua-cjson added to the original, and its errors and settings."""

from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]
CJSON = 'local cjson = require("cjson").new() '


def test_null_is_ngx_null_and_prints_as_the_null_pointer(run_lua: RunLua) -> None:
    assert run_lua("""
        local cjson = require "cjson"
        local decoded = cjson.decode("[null]")[1]
        return decoded == ngx.null, cjson.null == ngx.null, tostring(cjson.null), type(cjson.null)
    """) == (True, True, "userdata: NULL", "userdata")


@pytest.mark.parametrize(
    ("setup", "value", "text"),
    [
        ("", "{}", "{}"),
        ("cjson.encode_empty_table_as_object(false)", "{}", "[]"),
        ('cjson.encode_empty_table_as_object("off")', "{a = {}}", '{"a":[]}'),
        ("", "cjson.empty_array", "[]"),
        ("", "setmetatable({}, cjson.empty_array_mt)", "[]"),
        ("", "setmetatable({1}, cjson.empty_array_mt)", "[1]"),
        ("", "setmetatable({}, cjson.array_mt)", "[]"),
        ("", "setmetatable({a = 1}, cjson.array_mt)", "[]"),
        ("", "setmetatable({1, 2}, cjson.array_mt)", "[1,2]"),
        ("", "setmetatable({}, {__len = function() return 2 end})", "[null,null]"),
        (
            "",
            "setmetatable({}, {__len = function() return 2 end,"
            " __index = function(_, i) return i * 2 end})",
            "[2,4]",
        ),
        ("", "setmetatable({1, 2}, {__metatable = false})", "[1,2]"),
        ("cjson.decode_array_with_array_mt(true)", 'cjson.decode("[[]]")', "[[]]"),
        ("", 'cjson.decode("[[]]")', "[{}]"),
        ("", '"/"', r'"\/"'),
        ("cjson.encode_escape_forward_slash(false)", '{["/"] = "/"}', '{"/":"/"}'),
        ("cjson.encode_number_precision(3)", "math.pi", "3.14"),
        ("cjson.encode_number_precision(16)", "0.1", "0.1"),
        ('cjson.encode_invalid_numbers("null")', "{0/0}", "[null]"),
        (
            "cjson.encode_invalid_numbers(true)",
            "{0/0, 1/0, -1/0}",
            "[NaN,Infinity,-Infinity]",
        ),
        ("cjson.encode_sparse_array(true)", "{[100] = 1}", '{"100":1}'),
        ("cjson.encode_sparse_array(false, 0)", "{[12] = 1}", "[" + "null," * 11 + "1]"),
        ("cjson.encode_skip_unsupported_value_types(true)", "{print, 1, print}", "[1]"),
        ("cjson.encode_skip_unsupported_value_types(true)", "{a = print, b = 1}", '{"b":1}'),
        ("cjson.encode_skip_unsupported_value_types(true)", "{a = newproxy()}", "{}"),
        ("cjson.encode_skip_unsupported_value_types(true)", "print", ""),
        ('cjson.encode_indent("  ")', "{{1, {}}}", "[\n  [\n    1,\n    {}\n  ]\n]"),
        ('cjson.encode_indent("\t")', "{a = {b = 1}}", '{\n\t"a": {\n\t\t"b": 1\n\t}\n}'),
        ("cjson.encode_keep_buffer(false)", "{1}", "[1]"),
    ],
)
def test_encoding_follows_marks_and_settings(
    run_lua: RunLua, setup: str, value: str, text: str
) -> None:
    assert run_lua(f"{CJSON} {setup} return cjson.encode({value})") == text


@pytest.mark.parametrize(
    ("setup", "text", "message"),
    [
        ("", "{", "Expected object key string but found T_END at character 2"),
        ("", "[1,}", "Expected value but found T_OBJ_END at character 4"),
        ("", "{1:2}", "Expected object key string but found T_INTEGER at character 2"),
        ("", "{1.5:2}", "Expected object key string but found T_NUMBER at character 2"),
        ("", "xx", "Expected value but found invalid token at character 1"),
        ("", "/* c */ 1", "Expected value but found invalid token at character 1"),
        (
            "cjson.decode_allow_comment(true)",
            "[1 /* c",
            "Expected comma or array end but found unclosed multi-line comment at character 8",
        ),
        (
            "cjson.decode_max_depth(1)",
            "[[",
            "Found too many nested data structures (2) at character 2",
        ),
        (
            "cjson.decode_invalid_numbers(false)",
            "[-0x1]",
            "Expected value but found invalid number at character 2",
        ),
        (
            "cjson.decode_invalid_numbers(false)",
            "[nan]",
            "Expected value but found invalid token at character 2",
        ),
        ("", "1\\0", "JSON parser does not support UTF-16 or UTF-32"),
    ],
)
def test_a_wrong_text_is_reported_with_its_place(
    run_lua: RunLua, setup: str, text: str, message: str
) -> None:
    safe = CJSON.replace('"cjson"', '"cjson.safe"')
    assert run_lua(f"{safe} {setup} return cjson.decode('{text}')") == (None, message)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("// a\n[1, /* b */ 2] // c", [1, 2]),
        ('{/**/"a"/**/:/**/1/**/,/**/"b":2}', [1, 2]),
    ],
)
def test_comments_are_skipped_when_allowed(run_lua: RunLua, text: str, value: list[int]) -> None:
    got = run_lua(
        f"{CJSON} cjson.decode_allow_comment(true) local t = cjson.decode(...)"
        " return t[1] or t.a, t[2] or t.b",
        text.encode(),
    )
    assert list(got) == value


def test_an_integer_beyond_63_bits_is_the_nearest_double(run_lua: RunLua) -> None:
    """Where the fork saturates at the largest int64, as its strtoll does."""
    text = b"[99999999999999999999,-99999999999999999999]"
    assert run_lua(f"{CJSON} local t = cjson.decode(...) return t[1], t[2]", text) == (1e20, -1e20)


def test_minus_zero_is_zero_as_an_integer_and_negative_as_a_fraction(run_lua: RunLua) -> None:
    code = f'{CJSON} return cjson.encode(cjson.decode("[-0,-0.0]"))'
    assert run_lua(code) == "[0,-0]"


def test_errors_name_the_line_of_the_caller(run_lua: RunLua) -> None:
    assert run_lua("""
        local cjson = require "cjson"
        local chunk = loadstring("\\n local v = (...).decode('{') return v", "=caller")
        local _, decoding = pcall(chunk, cjson)
        chunk = loadstring("\\n\\n local v = (...).encode(print) return v", "=caller")
        local _, encoding = pcall(chunk, cjson)
        return decoding, encoding
    """) == (
        "caller:2: Expected object key string but found T_END at character 2",
        "caller:3: Cannot serialise function: type not supported",
    )


def test_safe_still_raises_for_a_wrong_number_of_arguments(run_lua: RunLua) -> None:
    ok, message = run_lua('return pcall(require("cjson.safe").decode)')
    assert not ok
    assert message == "bad argument #1 to '?' (expected 1 argument)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("encode_number_precision(0)", "#1 to 'NAME' (expected integer between 1 and 16)"),
        ("encode_number_precision('x')", "#1 to 'NAME' (number expected, got string)"),
        ("encode_keep_buffer(nil, true)", "#2 to 'NAME' (found too many arguments)"),
        ("encode_escape_forward_slash('x')", "#1 to 'NAME' (invalid option 'x')"),
        ("encode_invalid_numbers(-2)", "#1 to 'NAME' (invalid option '-2')"),
        ("encode_sparse_array('x')", "#1 to 'NAME' (invalid option 'x')"),
        ("encode_indent({})", "#1 to 'NAME' (string expected, got table)"),
        ("encode(1, 2)", "#1 to 'NAME' (expected 1 argument)"),
    ],
)
def test_a_wrong_argument_is_named_as_its_caller_names_the_function(
    run_lua: RunLua, call: str, message: str
) -> None:
    name = call.partition("(")[0]
    code = f'return select(2, pcall(loadstring("local c = require [[cjson]] c.{call}", "=me")))'
    assert run_lua(code) == f"me:1: bad argument {message.replace('NAME', name)}"


def test_safe_returns_what_is_wrong_with_the_argument(run_lua: RunLua) -> None:
    assert run_lua('return require("cjson.safe").decode(nil)') == (
        None,
        "bad argument #1 to '?' (string expected, got nil)",
    )
    assert run_lua('return require("cjson.safe").decode(12)') == 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("encode_max_depth(0)", "(expected integer between 1 and 2147483647)"),
        ("encode_number_precision(17)", "(expected integer between 1 and 16)"),
        ("encode_number_precision({})", "(number expected, got table)"),
        ('encode_keep_buffer("maybe")', "(invalid option 'maybe')"),
        ("decode_max_depth(1, 2)", "(found too many arguments)"),
    ],
)
def test_settings_refuse_what_they_do_not_take(run_lua: RunLua, call: str, message: str) -> None:
    ok, got = run_lua(f"{CJSON} return pcall(function() cjson.{call} end)")
    assert not ok
    assert got.endswith(message)


def test_settings_return_what_is_in_force(run_lua: RunLua) -> None:
    assert run_lua(f"""{CJSON}
        cjson.encode_invalid_numbers("null")
        return cjson.encode_max_depth(), cjson.encode_sparse_array(true, 3, 4)
    """) == (1000, True, 3, 4)
    assert run_lua(f'{CJSON} return cjson.encode_invalid_numbers("null")') == "null"
    assert run_lua(f"{CJSON} return cjson.encode_indent()") == ""


def test_an_instance_has_settings_of_its_own_and_shares_the_marks(run_lua: RunLua) -> None:
    assert run_lua("""
        local a, b = require("cjson").new(), require("cjson.safe").new()
        a.encode_empty_table_as_object(false)
        a.encode_escape_forward_slash(false)
        return a.encode {}, b.encode {}, b.encode "/", a.array_mt == b.array_mt
    """) == ("[]", "{}", r'"\/"', True)


def test_a_metamethod_may_encode_while_its_table_is_encoded(run_lua: RunLua) -> None:
    assert run_lua("""
        local cjson = require "cjson"
        local inner
        local outer = setmetatable({}, {
            __len = function() return 1 end,
            __index = function() inner = cjson.encode {"in"} return "out" end,
        })
        return cjson.encode {1, outer, 2}, inner
    """) == ('[1,["out"],2]', '["in"]')


def test_an_error_of_a_metamethod_passes_as_it_is(run_lua: RunLua) -> None:
    assert run_lua("""
        local value = setmetatable({}, {__len = function() error("mine", 0) end})
        local _, raised = pcall(require("cjson").encode, value)
        local _, returned = require("cjson.safe").encode(value)
        return raised, returned
    """) == ("mine", "mine")


def test_encoding_goes_on_after_an_error(run_lua: RunLua) -> None:
    assert (
        run_lua("""
        local safe = require "cjson.safe"
        safe.encode {1, 2, print}
        return safe.encode {3}
    """)
        == "[3]"
    )


def test_many_different_keys_are_quoted_right(run_lua: RunLua) -> None:
    """More than the cache of quoted keys keeps."""
    assert (
        run_lua("""
        local cjson = require "cjson"
        for i = 1, 10000 do
            local key = "key/" .. i
            if cjson.decode(cjson.encode {[key] = i})[key] ~= i then return key end
        end
        return "all"
    """)
        == "all"
    )


def test_a_deep_text_does_not_exhaust_the_stack(run_lua: RunLua) -> None:
    assert (
        run_lua(f"""{CJSON}
        cjson.decode_max_depth(2^31 - 1)
        local value, depth = cjson.decode(("["):rep(1e6) .. ("]"):rep(1e6)), 0
        while value do value, depth = value[1], depth + 1 end
        return depth
    """)
        == 1_000_000
    )
