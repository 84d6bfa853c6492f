"""ngx.re.split, by the examples of its documentation."""

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


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('"a,b,c,d", ","', "a|b|c|d"),
        ('"a,b,c,d", "(,)"', "a|,|b|,|c|,|d"),
        ('"a,b,c,d,e", ",", nil, {pos = 5}', "c|d|e"),
        ('"a,b,c,d,e", ",", nil, nil, 3', "a|b|c,d,e"),
        ('",a,,b,,", ","', "|a||b"),
        ('",a,,b,,", ",", nil, nil, 10', "|a||b||"),
        ('"abc", ""', "a|b|c"),
        ('"abc", "(x)?"', "a|b|c"),
        ('"", ","', ""),
        ('",", ","', ""),
        ('"a1b22c", "\\\\d+", "jo"', "a|b|c"),
        ('123, "2"', "1|3"),
        ('"a,b", ",", nil, nil, nil, {"x", "y", "z"}', "a|b"),
    ],
)
def test_fields(run_lua: RunLua, arguments: str, expected: str) -> None:
    code = f'return table.concat(require("ngx.re").split({arguments}), "|")'
    assert run_lua(code) == expected


def test_a_malformed_regex_is_reported(run_lua: RunLua) -> None:
    assert run_lua('return require("ngx.re").split("a", "(")') == (
        None,
        'pcre_compile() failed: missing ) in "("',
    )


def test_a_result_that_is_no_table_is_a_mistake_of_the_caller(run_lua: RunLua) -> None:
    with pytest.raises(LuaError, match=re.escape('"<python>"]:1: res is not a table')):
        run_lua('local x = require("ngx.re").split("a", ",", nil, nil, nil, 1) return x')


@PROPERTY
@given(st.text(alphabet="ab,;", max_size=20))
def test_splitting_at_one_character_is_that_of_python(call: Call, text: str) -> None:
    expected = re.split("[,;]", text)
    while expected and not expected[-1]:
        expected.pop()
    fields = call('require("ngx.re").split', text.encode(), b"[,;]", b"jo")
    assert list(fields.values()) == expected
