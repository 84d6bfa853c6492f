"""ngx.md5, md5_bin, sha1_bin, hmac_sha1, crc32_short and crc32_long."""

import hashlib
import hmac
import re
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.luajit21 import LuaError

Call = Callable[..., Any]
RunLua = Callable[..., Any]
PROPERTY = settings(max_examples=150, derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('ngx.md5("hello")', "5d41402abc4b2a76b9719d911017c592"),
        ('ngx.md5("")', "d41d8cd98f00b204e9800998ecf8427e"),
        ("ngx.md5(nil)", "d41d8cd98f00b204e9800998ecf8427e"),
        ("ngx.md5(45)", hashlib.md5(b"45").hexdigest()),
        ("ngx.md5(true)", hashlib.md5(b"true").hexdigest()),
        ("ngx.encode_base64(ngx.sha1_bin('hello'))", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        ("ngx.crc32_short('hello, world')", 4289425978),
        ("ngx.crc32_long('hello, world')", 4289425978),
        ("ngx.crc32_long('')", 0),
        ("ngx.crc32_short(nil)", 0),
        (
            'ngx.encode_base64(ngx.hmac_sha1("thisisverysecretstuff",'
            ' "some string we want to sign"))',
            "R/pvxzHC4NLtj7S+kXFg/NePTmk=",
        ),
    ],
)
def test_result(run_lua: RunLua, code: str, expected: Any) -> None:
    assert run_lua(f"return {code}") == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ngx.hmac_sha1('k')", "expecting 2 arguments, but got 1"),
        ("ngx.hmac_sha1('k', 's', 1)", "expecting 2 arguments, but got 3"),
        ("ngx.hmac_sha1(nil, 's')", "bad argument #1 to 'hmac_sha1' (string expected, got nil)"),
        ("ngx.hmac_sha1('k', {})", "bad argument #2 to 'hmac_sha1' (string expected, got table)"),
    ],
)
def test_mistake_is_reported_at_the_line_of_the_caller(
    run_lua: RunLua, code: str, message: str
) -> None:
    with pytest.raises(LuaError, match=re.escape(f'"<python>"]:2: {message}')):
        run_lua(f"local ngx = ngx\nlocal x = {code} return x")


@PROPERTY
@given(st.binary(max_size=300), st.binary(max_size=100))
def test_digests_are_those_of_python(call: Call, data: bytes, key: bytes) -> None:
    assert call("ngx.md5", data) == hashlib.md5(data).hexdigest()
    assert call("ngx.md5_bin", data).encode("latin-1") == hashlib.md5(data).digest()
    assert call("ngx.sha1_bin", data).encode("latin-1") == hashlib.sha1(data).digest()
    assert call("ngx.crc32_short", data) == call("ngx.crc32_long", data) == zlib.crc32(data)
    assert call("ngx.hmac_sha1", key, data).encode("latin-1") == hmac.digest(key, data, "sha1")
