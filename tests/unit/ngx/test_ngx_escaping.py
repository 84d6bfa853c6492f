"""ngx.escape_uri, unescape_uri and quote_sql_str."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.luajit21 import LuaError

Call = Callable[..., Any]
RunLua = Callable[..., Any]
PROPERTY = settings(max_examples=200, derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('ngx.escape_uri("a b/c?d=e&f")', "a%20b%2Fc%3Fd%3De%26f"),
        ('ngx.escape_uri("a b/c?d=e&f", 2)', "a%20b%2Fc%3Fd%3De%26f"),
        ('ngx.escape_uri("a b/c?d=e&f", 0)', "a%20b/c%3Fd=e&f"),
        ('ngx.escape_uri("-._~!\'()*")', "-._~!'()*"),
        ('ngx.escape_uri("")', ""),
        ("ngx.escape_uri(nil)", ""),
        ("ngx.escape_uri(false)", ""),
        ("ngx.escape_uri(true)", "true"),
        ("ngx.escape_uri(12.5)", "12.5"),
        ('ngx.escape_uri("\\0\\255")', "%00%FF"),
        ('ngx.unescape_uri("b%20r56+7")', "b r56 7"),
        ('ngx.unescape_uri("try %search%%20%again%")', "try %search% %again%"),
        ('ngx.unescape_uri("%")', "%"),
        ('ngx.unescape_uri("%4")', "%4"),
        ('ngx.unescape_uri("%4a%4A%zz")', "JJ%zz"),
        ("ngx.unescape_uri(nil)", ""),
        ("ngx.unescape_uri(5)", "5"),
        ('ngx.quote_sql_str("")', "''"),
        ('ngx.quote_sql_str("it\'s")', "'it\\'s'"),
        ("ngx.quote_sql_str(7)", "'7'"),
        (r'ngx.quote_sql_str("\0\b\n\r\t\26\\\"")', r"""'\0\b\n\r\t\Z\\\"'"""),
    ],
)
def test_result(run_lua: RunLua, code: str, expected: str) -> None:
    assert run_lua(f"return {code}") == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('ngx.escape_uri("a", "0")', '"type" is not a number'),
        ('ngx.escape_uri("a", 7)', '"type" 7 out of range'),
        ('ngx.escape_uri("a", -1)', '"type" -1 out of range'),
        ("ngx.quote_sql_str()", "expecting one argument"),
        ('ngx.quote_sql_str("a", "b")', "expecting one argument"),
        ("ngx.quote_sql_str(nil)", "bad argument #1 to 'quote_sql_str' (string expected, got nil)"),
        (
            "ngx.quote_sql_str({})",
            "bad argument #1 to 'quote_sql_str' (string expected, got table)",
        ),
    ],
)
def test_mistake_is_reported_at_the_line_of_the_caller(
    run_lua: RunLua, code: str, message: str
) -> None:
    with pytest.raises(LuaError, match=re.escape(f'"<python>"]:2: {message}')):
        run_lua(f"local ngx = ngx\nlocal x = {code} return x")


@PROPERTY
@given(st.binary(max_size=200))
def test_escaping_a_component_is_that_of_python(call: Call, data: bytes) -> None:
    assert call("ngx.escape_uri", data) == quote_from_bytes(data, safe="-._~!'()*")


@PROPERTY
@given(st.binary(max_size=200))
def test_unescaping_undoes_escaping(call: Call, data: bytes) -> None:
    assert call("ngx.unescape_uri", call("ngx.escape_uri", data)).encode("latin-1") == data


@PROPERTY
@given(st.text(alphabet="%+0aAfFgG/", max_size=30))
def test_unescaping_is_that_of_python_plus_spaces(call: Call, text: str) -> None:
    expected = unquote_to_bytes(text.replace("+", " ")).decode("latin-1")
    assert call("ngx.unescape_uri", text.encode()) == expected


def test_large_strings_do_not_spoil_the_shared_buffer(call: Call) -> None:
    large = b" " * 3_000_000
    assert call("ngx.escape_uri", large) == "%20" * 3_000_000
    assert call("ngx.escape_uri", b"a b") == "a%20b"
