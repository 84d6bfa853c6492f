"""resty.openssl.kdf against hashlib and `cryptography`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

Run = Callable[..., Any]


def latin(raw: bytes) -> str:
    return raw.decode("latin-1")


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512"])
def test_pbkdf2(run_lua: Run, name: str) -> None:
    expected = latin(hashlib.pbkdf2_hmac(name, b"pass", b"salt", 1000, 40))
    assert run_lua(
        """
        local kdf, name = require "resty.openssl.kdf", ...
        local options = {type = kdf.PBKDF2, outlen = 40, pass = "pass", salt = "salt", md = name,
            pbkdf2_iter = 1000}
        return kdf.derive(options), kdf.new("PBKDF2"):derive(40,
            {pass = "pass", salt = "salt", iter = 1000, digest = name, pkcs5 = 1})
        """,
        name,
    ) == (expected, expected)


def test_hkdf(run_lua: Run) -> None:
    algorithm = hashes.SHA256()
    whole = HKDF(algorithm, 42, b"salt", b"info").derive(b"key")
    expanded = HKDFExpand(algorithm, 42, b"info").derive(b"k" * 32)
    assert run_lua(
        """
        local kdf = require "resty.openssl.kdf"
        local whole = {type = kdf.HKDF, outlen = 42, salt = "salt", hkdf_info = "info",
            md = "sha256", hkdf_key = "key"}
        local extract = {type = kdf.HKDF, outlen = 1, salt = "salt", md = "sha256",
            hkdf_key = "key", hkdf_mode = kdf.HKDEF_MODE_EXTRACT_ONLY}
        local values = {digest = "sha256", key = ("k"):rep(32), info = "info",
            mode = kdf.HKDEF_MODE_EXPAND_ONLY}
        return kdf.derive(whole), kdf.derive(extract), kdf.new("HKDF"):derive(42, values)
        """
    ) == (latin(whole), latin(hmac.digest(b"salt", b"key", "sha256")), latin(expanded))


def test_scrypt(run_lua: Run) -> None:
    expected = Scrypt(b"salt", 32, 1024, 8, 1).derive(b"pass")
    assert run_lua(
        """
        local kdf = require "resty.openssl.kdf"
        return kdf.derive({type = kdf.SCRYPT, outlen = 32, pass = "pass", salt = "salt",
            scrypt_N = 1024, scrypt_r = 8, scrypt_p = 1})
        """
    ) == latin(expected)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("{}", '"type" must be set'),
        ('{type = "x"}', 'expect a number as "type"'),
        ("{type = 1, outlen = 1}", "unknown type 1"),
        ("{type = kdf.PBKDF2}", '"outlen" must be set'),
        ("{type = kdf.HKDF, outlen = 1}", '"hkdf_key" must be set'),
        ("{type = kdf.SCRYPT, outlen = 1}", '"scrypt_N" must be set'),
        ('{type = kdf.PBKDF2, outlen = 1, md = "nope"}', 'invalid digest type "nope"'),
    ],
)
def test_options_of_kdf_that_are_refused(run_lua: Run, options: str, error: str) -> None:
    code = f'local kdf = require "resty.openssl.kdf" return kdf.derive({options})'
    assert run_lua(code) == (None, f"kdf.derive: {error}")


def test_values_of_kdf_that_are_refused(run_lua: Run) -> None:
    code = 'return require("resty.openssl.kdf").new("HKDF"):derive(1, {nope = "x"})'
    assert run_lua(code) == (None, 'kdf:derive: param:construct: unknown key "nope"')
