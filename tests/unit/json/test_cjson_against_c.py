"""The codec against the C library that it stands in for (Debian's lua-cjson), on the same texts.

Debian ships upstream's 2.1.0: what OpenResty's fork changed since is tested in test_cjson.py.
"""

import glob
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygw.vm.runtime import create_runtime

C_MODULE = next(iter(glob.glob("/usr/lib/*/lua/5.1/cjson.so")), None)

pytestmark = pytest.mark.skipif(C_MODULE is None, reason="Debian's lua-cjson is not installed")

CODECS = r"""
local theirs, ours = assert(package.loadlib(..., "luaopen_cjson"))(), require "cjson"
"""

COMPARE_TEXT = r"""
local function same(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b or (a ~= a and b ~= b)
    end
    for k, v in pairs(a) do if not same(v, b[k]) then return false end end
    for k in pairs(b) do if a[k] == nil then return false end end
    return true
end
return function(text)
    local ok1, want = pcall(theirs.decode, text)
    local ok2, got = pcall(ours.decode, text)
    if not ok1 then
        -- a whole number has a token name of its own in the fork
        return not ok2 and got:gsub("T_INTEGER", "T_NUMBER") == want, tostring(want), tostring(got)
    end
    if not (ok2 and same(want, got)) then
        return false, tostring(want), tostring(got)
    end
    local encodable, again = pcall(theirs.encode, want)
    local encoded, text2 = pcall(ours.encode, want)
    if not encodable then
        again = again:gsub("NaN or Inf$", "NaN or Infinity")  -- reworded in the fork
    end
    return encodable == encoded and again == text2, again, text2
end
"""


@pytest.fixture(scope="module")
def compare() -> Callable[[bytes], tuple[bool, str, str]]:
    compare: Callable[[bytes], tuple[bool, str, str]] = create_runtime().execute(
        CODECS + COMPARE_TEXT, C_MODULE
    )
    return compare


def assert_same(compare: Callable[[bytes], tuple[bool, str, str]], text: bytes) -> None:
    same, theirs, ours = compare(text)
    assert same, f"{text!r}\n  C:    {theirs}\n  ours: {ours}"


# Three spaces stand between two texts.
PRINTABLE = r"""
{}   []   [[]]   {"a":{}}   1   -1   0   -0.0   0.1   1e3   1E+3   1e-3   1.   1.e2   1e
1e+   -   - 1   +1   +   007   -01   0x1F   -0x1f   0X1F   0x   0xg   0x1p4   0x1.8   .5
inf   -inf   Infinity   -Infinity   nan   NaN   -nan   infinit   na   123456789012345678
9007199254740993   1.7976931348623157e308   1e400   5e-324   1e-400   0.30000000000000004
3.141592653589793238462643383279   100000000000000000000000   1e22   1e23   true   false
null   tru   nul   True   truefalse   true false   [true   [true,   [true,]   [,]   [1 2]
[1}   {1:2}   {"a"}   {"a":}   {"a":1   {"a":1,   {"a":1,}   {"a" 1}   {"a":1]
{"a":1 "b":2}   {"a"   {   [   ]   }   ,   :   {,}   {[]:1}   {"a"::1}   {null:1}   [:]   "
"a   "a\   "\x"   "\u"   "\u12"   "\u00e9"   "\uD834\uDD1E"   "\uD834"   "\uDD1E"
"\uD834\n"   "\uD834\u0041"   "\u0000"   "\"\\\/\b\f\n\r\t"   /* c */1   //   /
{"a":1,"a":2}   {"":1}   ["\u00zz"]   {"a\q":1}   ["unclosed]   [1]]   'a'   [1, "\u12
{"k": nope}   {"k" ?: 1}
"""

BINARY = [
    b"",
    b" ",
    b'"a\nb"',
    b'"\xc3\xa9\xff"',
    b'"a\x00b"',
    b"1\x00garbage",
    b"\x00",
    b"1\x00",
    b"[1,\x002]",
    b" \t\r\n[ 1 , 2 ]\n",
    b"\x0b1",
    b"\xef\xbb\xbf1",
    b"[" * 1000 + b"]" * 1000,
    b"[" * 1001,
    b'{"a":' * 1001,
    b"[" * 999 + b'{"a":[',
]

TEXTS = [text.encode() for text in re.split(r"   |\n", PRINTABLE.strip())] + BINARY


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:20]))
def test_a_text_decodes_to_the_same_value_or_the_same_message(
    compare: Callable[[bytes], tuple[bool, str, str]], text: bytes
) -> None:
    assert_same(compare, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=30,
)


@given(json_values, st.booleans(), st.sampled_from([None, 2]))
@settings(max_examples=300, deadline=None)
def test_what_python_writes_reads_as_in_c(
    compare: Callable[[bytes], tuple[bool, str, str]], value: Any, ascii: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    assert_same(compare, text.encode("utf-8", "surrogatepass"))


@given(json_values, st.data())
@settings(max_examples=500, deadline=None)
def test_a_damaged_text_fails_as_in_c(
    compare: Callable[[bytes], tuple[bool, str, str]], value: Any, data: st.DataObject
) -> None:
    text = bytearray(json.dumps(value).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.sampled_from(b'[]{}:,"\\/u0123.eE-+xtfnN \x00\x7f\xff'))
    assert_same(compare, bytes(text))


@given(
    st.lists(
        st.sampled_from([b"0", b"1", b"9", b".", b"e", b"E", b"-", b"+", b"x", b"f"]), max_size=24
    )
)
@settings(max_examples=500, deadline=None)
def test_number_like_texts_read_as_in_c(
    compare: Callable[[bytes], tuple[bool, str, str]], pieces: list[bytes]
) -> None:
    assert_same(compare, b"".join(pieces))


COMPARE_VALUE = r"""
return function(code)
    local value = assert(loadstring("return " .. code))()
    local ok1, want = pcall(theirs.encode, value)
    local ok2, got = pcall(ours.encode, value)
    return ok1 == ok2 and want == got, tostring(want), tostring(got)
end
"""

VALUES = [
    "nil",
    "true",
    "{}",
    "{{}, {{}}}",
    "{1, nil, 3}",
    "{nil, nil, 3}",
    "{[10] = 1}",
    "{[11] = 1}",
    "{[11] = 1, 2, 3, 4, 5, 6}",
    "{[0] = 1}",
    "{[1.5] = 1}",
    "{[-1] = 1, a = 2}",
    "{1, 2, a = 3}",
    "{[1e15] = 1, a = 1}",
    "{[true] = 1}",
    "{a = print}",
    "{coroutine.create(print)}",
    "newproxy()",
    "1LL",
    "{a = {b = {c = {}}}}",
    "0.1",
    "1/3",
    "-0",
    "1e14",
    "123456789012345",
    "1e100",
    "-1.5e-10",
    "2^53",
    "2^63",
    r"'\\ \" / \b \f \n \r \t \0 \1 \31 \127 \128 \255'",
    "{['k\\n\"/'] = 1}",
    "('x'):rep(1000)",
    "(function() local t = {} t.t = t return t end)()",
    "(function() local t = {} for _ = 1, 999 do t = {t} end return t end)()",
    "(function() local t = {} for _ = 1, 1000 do t = {t} end return t end)()",
]


@pytest.mark.parametrize("code", VALUES)
def test_a_value_encodes_to_the_same_text_or_the_same_message(code: str) -> None:
    compare_value = create_runtime().execute(CODECS + COMPARE_VALUE, C_MODULE)
    same, theirs, ours = compare_value(code)
    assert same, f"{code}\n  C:    {theirs}\n  ours: {ours}"
