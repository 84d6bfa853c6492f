"""inspect: values as people read them."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.5", "1.5"),
        ("nil", "nil"),
        ("true", "true"),
        ('"a\\nb\\0011"', '"a\\nb\\0011"'),
        ('"\\1x\\\\"', '"\\1x\\\\"'),
        ("'say \"hi\"'", "'say \"hi\"'"),
        ("'a\"b\\'c'", '"a\\"b\'c"'),
        ("{}", "{}"),
        ("{ 1, 2, { 3 } }", "{ 1, 2, { 3 } }"),
        ("{ b = 1, a = 2 }", "{\n  a = 2,\n  b = 1\n}"),
        (
            '{ 1, x = 2, ["a b"] = 3, ["end"] = 4 }',
            '{ 1,\n  ["a b"] = 3,\n  ["end"] = 4,\n  x = 2\n}',
        ),
        ("{ [5] = 1, [true] = 2, [1.5] = 3 }", "{\n  [1.5] = 3,\n  [5] = 1,\n  [true] = 2\n}"),
        ("{ a = { b = { c = 1 } } }", "{\n  a = {\n    b = {\n      c = 1\n    }\n  }\n}"),
        ("setmetatable({ 1 }, { x = 2 })", "{ 1,\n  <metatable> = {\n    x = 2\n  }\n}"),
        ("{ print, print, pcall }", "{ <function 1>, <function 1>, <function 2> }"),
        ("(function() local t = {} t.me = t return t end)()", "<1>{\n  me = <table 1>\n}"),
        ("(function() local t = { 1 } return { t, t } end)()", "{ <1>{ 1 }, <table 1> }"),
        ("ngx.null", "<userdata 1>"),
    ],
)
def test_values(run_lua: Run, value: str, text: str) -> None:
    assert run_lua(f'return require("inspect")({value})') == text


def test_options(run_lua: Run) -> None:
    code = """
        local inspect = require "inspect"
        local value = { a = { b = { c = 1 } } }
        return inspect(value, { depth = 2, newline = "", indent = "" }),
            inspect.inspect(value, { depth = 0 })
    """
    assert run_lua(code) == ("{a = {b = {...}}}", "{...}")


def test_a_process_changes_or_leaves_out(run_lua: Run) -> None:
    code = """
        local inspect = require "inspect"
        local function without_secrets(item, path)
            if path[#path] == "secret" then return nil end
            if path[#path] ~= inspect.METATABLE then return item end
        end
        local value = setmetatable({ secret = 1, kept = { secret = 2, x = 3 } }, { gone = true })
        return inspect(value, { process = without_secrets, newline = " ", indent = "" })
    """
    assert run_lua(code) == "{ kept = { x = 3 } }"
