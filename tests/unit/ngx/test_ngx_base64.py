"""ngx.encode_base64, decode_base64, decode_base64mime, and the module ngx.base64."""

import base64
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
    ("code", "expected"),
    [
        ('ngx.encode_base64("hello")', "aGVsbG8="),
        ('ngx.encode_base64("hello", true)', "aGVsbG8"),
        ('ngx.encode_base64("hello", false)', "aGVsbG8="),
        ("ngx.encode_base64(nil)", ""),
        ('ngx.encode_base64("")', ""),
        ("ngx.encode_base64(56)", "NTY="),
        ('ngx.decode_base64("aGVsbG8=")', "hello"),
        ('ngx.decode_base64("aGVsbG8")', "hello"),
        ('ngx.decode_base64("")', ""),
        ('ngx.decode_base64("=")', ""),
        ('ngx.decode_base64("aGVs=bG8")', "hel"),
        ('ngx.decode_base64("a")', None),
        ('ngx.decode_base64("aGVsb")', None),
        ('ngx.decode_base64("aGVs bG8=")', None),
        ('ngx.decode_base64("aGVs_G8=")', None),
        ('ngx.decode_base64mime("aGVs\\r\\n bG8=")', "hello"),
        ('ngx.decode_base64mime("a$G!V_s-b\\0G8")', "hello"),
        ('ngx.decode_base64mime("a$$$")', None),
        ('ngx.decode_base64mime("")', ""),
        ('require("ngx.base64").encode_base64url("\\251\\255\\255")', "-___"),
        ('require("ngx.base64").encode_base64url("a")', "YQ"),
        ('require("ngx.base64").decode_base64url("-___")', "\xfb\xff\xff"),
        ('require("ngx.base64").decode_base64url("YQ==")', "a"),
        ('require("ngx.base64").decode_base64url("a+/b")', (None, "invalid input")),
        ('require("ngx.base64").decode_base64url("a")', (None, "invalid input")),
        ('require("ngx.base64").decode_base64url(1)', (None, "must provide a string")),
        ('require("ngx.base64").encode_base64url(nil)', (None, "must provide a string")),
    ],
)
def test_result(run_lua: RunLua, code: str, expected: Any) -> None:
    assert run_lua(f"return {code}") == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('ngx.encode_base64("a", 1)', "bad no_padding: boolean expected, got number"),
        ('ngx.encode_base64("a", "true")', "bad no_padding: boolean expected, got string"),
        ("ngx.decode_base64(nil)", "string argument only"),
        ("ngx.decode_base64(12)", "string argument only"),
        ("ngx.decode_base64mime({})", "string argument only"),
    ],
)
def test_mistake_is_reported_at_the_line_of_the_caller(
    run_lua: RunLua, code: str, message: str
) -> None:
    with pytest.raises(LuaError, match=re.escape(f'"<python>"]:2: {message}')):
        run_lua(f"local ngx = ngx\nlocal x = {code} return x")


@PROPERTY
@given(st.binary(max_size=200))
def test_encoding_is_that_of_python(call: Call, data: bytes) -> None:
    expected = base64.b64encode(data).decode()
    assert call("ngx.encode_base64", data) == expected
    assert call("ngx.encode_base64", data, True) == expected.rstrip("=")
    url = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert call('require("ngx.base64").encode_base64url', data) == url


@PROPERTY
@given(st.binary(max_size=200))
def test_decoding_undoes_encoding(call: Call, data: bytes) -> None:
    encoded = base64.b64encode(data)
    assert call("ngx.decode_base64", encoded).encode("latin-1") == data
    assert call("ngx.decode_base64mime", b"\r\n".join([encoded[:5], encoded[5:]])).encode(
        "latin-1"
    ) == (data)
    url = base64.urlsafe_b64encode(data)
    assert call('require("ngx.base64").decode_base64url', url).encode("latin-1") == data


def test_a_megabyte_goes_there_and_back(call: Call) -> None:
    data = bytes(range(256)) * 8192
    encoded = call("ngx.encode_base64", data)
    assert encoded == base64.b64encode(data).decode()
    assert call("ngx.decode_base64", encoded.encode()).encode("latin-1") == data
