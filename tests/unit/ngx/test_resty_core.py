"""The facades of lua-resty-core that plugins and libraries require."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from lupa.luajit21 import LuaError

RunLua = Callable[..., Any]


def test_resty_core_can_be_required(run_lua: RunLua) -> None:
    assert run_lua('return type(require("resty.core").version)') == "string"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('"^b("', 'pcre_compile() failed: missing ) in "^b("'),
        ('".+(", "jo"', 'pcre_compile() failed: missing ) in ".+("'),
        (
            '"[z-a]b"',
            'pcre_compile() failed: range out of order in character class in "[z-a]b" at "a]b"',
        ),
        ('"[a-z]+", "jo"', None),
        ('""', None),
    ],
)
def test_plugins_learn_whether_a_regex_is_valid(
    run_lua: RunLua, arguments: str, expected: str | None
) -> None:
    code = f"""
        local compiled, err = require("resty.core.regex").re_match_compile({arguments})
        return compiled ~= nil, err
    """
    assert run_lua(code) == (expected is None, expected)


def test_the_request_is_the_current_one(run_lua: RunLua) -> None:
    code = """
        local get_request = require("resty.core.base").get_request
        local current = require "server.current"
        local before = get_request()
        current.request = { name = "mine" }
        local name = get_request().name
        current.request = nil
        return before, name, get_request()
    """
    assert run_lua(code) == (None, "mine", None)


def test_buffers_are_shared_unless_asked_otherwise(run_lua: RunLua) -> None:
    code = """
        local base, ffi = require "resty.core.base", require "ffi"
        local shared = base.get_string_buf(10)
        local size = base.get_string_buf_size()
        base.set_string_buf_size(size * 2)
        local larger = base.get_string_buf(10)
        local own, huge = base.get_string_buf(10, true), base.get_string_buf(size * 3)
        return shared == larger, larger == base.get_string_buf(size), ffi.sizeof(larger) / size,
            own == larger, ffi.sizeof(huge) / size
    """
    assert run_lua(code) == (False, True, 2, False, 3)


def test_pointers_are_shared(run_lua: RunLua) -> None:
    code = """
        local base, ffi = require "resty.core.base", require "ffi"
        base.get_size_ptr()[0] = 7
        return tonumber(base.get_size_ptr()[0]), base.get_errmsg_ptr()[0] == nil
    """
    assert run_lua(code) == (7, True)


def test_references_are_taken_from_the_free_list_first(run_lua: RunLua) -> None:
    code = """
        local ref = require("resty.core.base").ref_in_table
        local list = {}
        local a, b = ref(list, "a"), ref(list, "b")
        list[a], list[0] = 0, a
        return a, b, ref(list, "c"), ref(list, "d"), ref(list, nil)
    """
    assert run_lua(code) == (1, 2, 1, 3, -1)


def test_a_library_for_another_subsystem_is_refused(run_lua: RunLua) -> None:
    run_lua('require("resty.core.base").allows_subsystem("stream", "http")')
    with pytest.raises(LuaError, match=re.escape("unsupported subsystem: http")):
        run_lua('require("resty.core.base").allows_subsystem("stream")')
