"""apisix.utils.content-decode and redis-schema."""

import ctypes
import gzip
import os
import zlib
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
CODE = 'local d = require("apisix.utils.content-decode").dispatch_decoder(%r) return d(...)'
TEXT = os.urandom(100_000) + b"a" * 300_000


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]),
        zlib.compress(TEXT),
    ],
    ids=["gzip", "two members", "zlib header"],
)
def test_gzip(run_lua: Run, data: bytes) -> None:
    assert run_lua(CODE % "gzip", data) == TEXT.decode("latin-1")


@pytest.mark.parametrize("data", [b"plain text", gzip.compress(TEXT)[:-50_000], b""])
def test_what_is_no_whole_gzip_is_an_error(run_lua: Run, data: bytes) -> None:
    text, error = run_lua(CODE % "gzip", data)
    assert text is None
    assert error.startswith("inflate gzip err: ")


def _brotli(data: bytes) -> bytes:
    try:
        encoder = ctypes.CDLL("libbrotlienc.so.1")
    except OSError:
        pytest.skip("needs the Debian package libbrotli1")
    size = ctypes.c_size_t(len(data) + 1024)
    out = ctypes.create_string_buffer(size.value)
    length = ctypes.c_size_t(len(data))
    assert encoder.BrotliEncoderCompress(5, 22, 0, length, data, ctypes.byref(size), out)
    return out.raw[: size.value]


def test_brotli(run_lua: Run) -> None:
    data = _brotli(TEXT)
    assert run_lua(CODE % "br", data) == TEXT.decode("latin-1")
    assert run_lua(CODE % "br", data[:500]) == (None, "brotli decode err: unexpected end of data")
    text, error = run_lua(CODE % "br", b"\xff" * 50)
    assert text is None
    assert error.startswith("brotli decode err: ")


def test_other_encodings_have_no_decoder(run_lua: Run) -> None:
    code = """
        local dispatch = require("apisix.utils.content-decode").dispatch_decoder
        return dispatch("deflate"), dispatch("identity"), dispatch(nil)
    """
    assert run_lua(code) == (None, None, None)


def test_redis_schemas_are_separate_tables_with_key_ttl_for_limit_conn(run_lua: Run) -> None:
    code = """
        local m = require("apisix.utils.redis-schema")
        return m.schema.redis.required[1], m.schema.redis.properties.redis_port.default,
               m.schema["redis-cluster"].properties.redis_cluster_nodes.items.maxLength,
               m.limit_conn_redis_schema.properties.key_ttl.default,
               m.schema.redis.properties.key_ttl
    """
    assert run_lua(code) == ("redis_host", 6379, 100, 3600, None)
