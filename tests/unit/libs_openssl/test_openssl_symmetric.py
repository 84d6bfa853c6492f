"""resty.openssl's digests, MACs and ciphers against hashlib and `cryptography`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import cmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

Run = Callable[..., Any]

DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "blake2s256")
TEXT = bytes(range(256)) * 9


def latin(raw: bytes) -> str:
    return raw.decode("latin-1")


def hashed(name: str, raw: bytes) -> bytes:
    return hashlib.new(
        {"sha3-256": "sha3_256", "blake2s256": "blake2s"}.get(name, name), raw
    ).digest()


@pytest.mark.parametrize("name", DIGESTS)
def test_digests(run_lua: Run, name: str) -> None:
    once, pieces, again = run_lua(
        """
        local name, text = ...
        local digest = require("resty.openssl.digest").new(name)
        local once = digest:final(text)
        assert(digest:reset())
        assert(digest:update(text:sub(1, 100), text:sub(101, 101)))
        local pieces = digest:final(text:sub(102))
        digest:reset()
        return once, pieces, digest:final()
        """,
        name,
        latin(TEXT),
    )
    assert once == pieces == latin(hashed(name, TEXT))
    assert again == latin(hashed(name, b""))


def test_the_default_digest_is_sha1(run_lua: Run) -> None:
    code = 'return require("resty.openssl.digest").new():final("abc")'
    assert run_lua(code) == latin(hashlib.sha1(b"abc").digest())


@pytest.mark.parametrize("module", ["hmac", "mac"])
@pytest.mark.parametrize("name", DIGESTS[:6])
@pytest.mark.parametrize("key", [b"k", b"", b"\0" * 200])
def test_hmac(run_lua: Run, module: str, name: str, key: bytes) -> None:
    once, again = run_lua(
        """
        local module, name, key, text = ...
        local new = require("resty.openssl." .. module).new
        local it = module == "mac" and new(key, "HMAC", nil, name) or new(key, name)
        it:update(text:sub(1, 100), text:sub(101, 101))
        local once = it:final(text:sub(102))
        assert(it:reset())
        return once, it:final(text)
        """,
        module,
        name,
        latin(key),
        latin(TEXT),
    )
    assert once == again == latin(hmac.digest(key, TEXT, name))


def test_cmac(run_lua: Run) -> None:
    expected = cmac.CMAC(algorithms.AES(b"k" * 16))
    expected.update(TEXT)
    code = (
        'return require("resty.openssl.mac").new(("k"):rep(16), "CMAC", "aes-128-cbc"):final(...)'
    )
    assert run_lua(code, latin(TEXT)) == latin(expected.finalize())


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('digest").new("nope")', 'digest.new: invalid digest type "nope": error:'),
        ('hmac").new("k", "nope")', 'hmac.new: invalid digest type "nope"'),
        ('mac").new("k", "nope")', 'mac.new: invalid mac type "nope": error:'),
        ('mac").new("k", "HMAC", nil, "nope")', "mac.new: invalid cipher or digest type: error:"),
        ('cipher").new()', "cipher.new: expect type to be defined"),
        ('cipher").new("nope")', 'cipher.new: invalid cipher type "nope": error:'),
        ('kdf").new("nope")', 'mac.new: invalid mac type "nope": error:'),
        ('rand").bytes("1")', "rand.bytes: expect a number at #1"),
        ('rand").bytes(1, false, "1")', "rand.bytes: expect a number at #3"),
    ],
)
def test_says_what_is_wrong(run_lua: Run, call: str, error: str) -> None:
    found, why = run_lua(f'return require("resty.openssl.{call}')
    assert found is None
    assert why.startswith(error)


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("length", [0, 1, 16, 2000])
def test_aes_cbc(run_lua: Run, size: int, length: int) -> None:
    key, iv, text = b"k" * size, b"i" * 16, TEXT[:length]
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    expected = encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()
    whole, pieces, back = run_lua(
        """
        local size, key, iv, text = ...
        local cipher = require("resty.openssl.cipher").new("aes-" .. size .. "-cbc")
        local whole = assert(cipher:encrypt(key, iv, text))
        assert(cipher:init(key, iv, {is_encrypt = true}))
        local pieces = cipher:update(text:sub(1, 7), text:sub(8)) .. cipher:final()
        return whole, pieces, cipher:decrypt(key, iv, whole)
        """,
        size * 8,
        latin(key),
        latin(iv),
        latin(text),
    )
    assert whole == pieces == latin(expected)
    assert back == latin(text)


def test_without_padding(run_lua: Run) -> None:
    key = iv = b"k" * 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    expected = encryptor.update(b"sixteen bytes ok") + encryptor.finalize()
    found, odd = run_lua(
        """
        local cipher = require("resty.openssl.cipher").new("aes-128-cbc")
        local key = ("k"):rep(16)
        return cipher:encrypt(key, key, "sixteen bytes ok", true),
            (cipher:encrypt(key, key, "odd", true))
        """
    )
    assert found == latin(expected)
    assert odd is None


@pytest.mark.parametrize(
    ("name", "aead"),
    [
        ("aes-128-gcm", AESGCM(b"k" * 16)),
        ("aes-256-gcm", AESGCM(b"k" * 32)),
        ("chacha20-poly1305", ChaCha20Poly1305(b"k" * 32)),
    ],
)
@pytest.mark.parametrize("aad", [None, b"covered"])
def test_authenticated_ciphers(run_lua: Run, name: str, aead: Any, aad: bytes | None) -> None:
    expected = aead.encrypt(b"n" * 12, TEXT, aad)
    text, tag, back, other_tag, other_aad, error = run_lua(
        """
        local name, text, aad = ...
        local cipher = require("resty.openssl.cipher").new(name)
        local key, iv = ("k"):rep(cipher.key_size), ("n"):rep(cipher.iv_size)
        local made = assert(cipher:encrypt(key, iv, text, false, aad))
        local tag = assert(cipher:get_aead_tag(16))
        local wrong, err = cipher:decrypt(key, iv, made, false, aad, ("t"):rep(16))
        return made, tag, cipher:decrypt(key, iv, made, false, aad, tag), wrong,
            (cipher:decrypt(key, iv, made, false, "other", tag)), err
        """,
        name,
        latin(TEXT),
        latin(aad) if aad else None,
    )
    assert text + tag == latin(expected)
    assert back == latin(TEXT)
    assert (other_tag, other_aad) == (None, None)
    assert error.startswith("cipher:final: EVP_CipherFinal_ex")


def test_a_cipher_that_is_not_ready(run_lua: Run) -> None:
    not_ready = "cipher not initalized, call cipher:init first"
    assert run_lua(
        """
        local cipher = require("resty.openssl.cipher").new("aes-128-gcm")
        local _, update = cipher:update("x")
        local _, tag = cipher:get_aead_tag()
        local _, key = cipher:init("short", "x")
        local _, iv = cipher:init(("k"):rep(16), "short")
        return update, tag, key, iv
        """
    ) == (
        f"cipher:update: {not_ready}",
        f"cipher:get_aead_tag: {not_ready}",
        "cipher:init: incorrect key size, expect 16",
        "cipher:init: incorrect iv size, expect 12",
    )


def test_key_and_iv_of_a_password(run_lua: Run) -> None:
    key, iv = run_lua(
        """
        local cipher = require("resty.openssl.cipher").new("aes-128-cbc")
        return cipher:derive("pw", "saltsalt", 1, "md5")
        """
    )
    first = hashlib.md5(b"pwsaltsalt").digest()
    second = hashlib.md5(first + b"pwsaltsalt").digest()
    assert key == latin(first)
    assert iv == latin(second)


def test_random_bytes(run_lua: Run) -> None:
    first, second, private = run_lua(
        """
        local bytes = require("resty.openssl.rand").bytes
        return bytes(32), bytes(32), bytes(5, true)
        """
    )
    assert len(first) == len(second) == 32
    assert first != second
    assert len(private) == 5


def test_version_and_errors(run_lua: Run) -> None:
    text, number, modern, reason, nothing = run_lua(
        """
        local version, err = require "resty.openssl.version", require "resty.openssl.err"
        require("resty.openssl.library").ERR_clear_error()
        local nothing = err.format_error("context")
        require("resty.openssl.digest").new("nope")
        return version.version_text, version.version_num, version.OPENSSL_3_UP,
            err.get_reason_error_string(err.get_last_error_code()), nothing
        """
    )
    assert text.startswith("OpenSSL 3.")
    assert number >= 0x30000000
    assert modern
    assert reason == "unsupported"
    assert nothing == "context failed"


def test_names_of_objects(run_lua: Run) -> None:
    assert run_lua(
        """
        local objects = require "resty.openssl.objects"
        local found = objects.nid2table(objects.txt2nid("sha256"))
        local _, err = objects.txt2nid("nope")
        return found.id, found.sn, found.ln, objects.txtnid2nid(5), err
        """
    ) == ("2.16.840.1.101.3.4.2.1", "SHA256", "sha256", 5, "objects.txt2nid: invalid NID text nope")
