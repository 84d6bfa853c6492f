"""resty.md5, resty.sha*, resty.hmac, resty.random and resty.string."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]

MESSAGE = bytes(range(256)) * 5


@pytest.mark.parametrize("name", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
def test_digest_in_pieces(run_lua: RunLua, name: str) -> None:
    code = f"""
        local data = ...
        local digest = require("resty.{name}"):new()
        for _, piece in ipairs {{ data:sub(1, 100), "", data:sub(101) }} do
            assert(digest:update(piece))
        end
        return require("resty.string").to_hex(digest:final())
    """
    assert run_lua(code, MESSAGE) == hashlib.new(name, MESSAGE).hexdigest()


def test_digest_begins_again_after_a_reset(run_lua: RunLua) -> None:
    code = """
        local digest = require("resty.sha256"):new()
        digest:update("spoilt")
        assert(digest:reset())
        digest:update("a")
        local first = digest:final()
        assert(digest:reset())
        digest:update("a")
        return first == digest:final(), require("resty.string").to_hex(first)
    """
    assert run_lua(code) == (True, hashlib.sha256(b"a").hexdigest())


def test_digests_do_not_share_their_state(run_lua: RunLua) -> None:
    code = """
        local sha256 = require "resty.sha256"
        local one, two = sha256:new(), sha256:new()
        one:update("a") two:update("b") one:update("c")
        two:final()
        return require("resty.string").to_hex(one:final())
    """
    assert run_lua(code) == hashlib.sha256(b"ac").hexdigest()


def test_md5_takes_a_length(run_lua: RunLua) -> None:
    code = """
        local md5 = require("resty.md5"):new()
        md5:update("hello, world", 5)
        return require("resty.string").to_hex(md5:final())
    """
    assert run_lua(code) == hashlib.md5(b"hello").hexdigest()


@pytest.mark.parametrize("name", ["MD5", "SHA1", "SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize("key", [b"", b"key", b"k" * 300])
def test_hmac(run_lua: RunLua, name: str, key: bytes) -> None:
    code = f"""
        local key, data = ...
        local hmac = require "resty.hmac"
        local mac = hmac:new(key, hmac.ALGOS.{name})
        assert(mac:update(data:sub(1, 7)))
        local hex = mac:final(data:sub(8), true)
        assert(mac:reset())
        return hex, mac:final(data)
    """
    expected = hmac.new(key, MESSAGE, name.lower())
    hexadecimal, raw = run_lua(code, key, MESSAGE)
    assert (hexadecimal, raw.encode("latin-1")) == (expected.hexdigest(), expected.digest())


def test_hmac_is_md5_unless_told_otherwise(run_lua: RunLua) -> None:
    code = 'return require("resty.hmac"):new("key"):final("data", true)'
    assert run_lua(code) == hmac.new(b"key", b"data", "md5").hexdigest()


@pytest.mark.parametrize("strong", ["", ", true", ", false"])
def test_random_bytes_differ(run_lua: RunLua, strong: str) -> None:
    one, two = run_lua(f"""
        local random = require "resty.random"
        return random.bytes(16{strong}), random.bytes(16{strong})
    """)
    assert len(one) == len(two) == 16
    assert one != two


def test_no_random_bytes_are_an_empty_string(run_lua: RunLua) -> None:
    assert run_lua('return require("resty.random").bytes(0)') == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("0012", 12),
        ("9007199254740992", 2**53),
        ("9223372036854775807", 2**63),
        ("9223372036854775808", -1),
        ("99999999999999999999", -1),
        ("", -1),
        ("-1", -1),
        ("1.5", -1),
        ("12a", -1),
        (" 1", -1),
    ],
)
def test_atoi(run_lua: RunLua, text: str, number: int) -> None:
    assert run_lua('return require("resty.string").atoi(...)', text.encode()) == number


def test_to_hex(run_lua: RunLua) -> None:
    assert run_lua('return require("resty.string").to_hex(...)', MESSAGE) == MESSAGE.hex()
    assert run_lua('return require("resty.string").to_hex("")') == ""


def test_libraries_for_openresty_find_libcrypto_in_ffi_c(run_lua: RunLua) -> None:
    code = """
        require "resty.sha256"
        local ffi = require "ffi"
        ffi.cdef[[ typedef struct evp_md_st EVP_MD; const EVP_MD *EVP_sha256(void);
                   int EVP_MD_get_size(const EVP_MD *md); ]]
        return pcall(function() return ffi.C.EVP_sha256() ~= nil end)
    """
    assert run_lua(code) == (True, True)
