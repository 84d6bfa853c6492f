"""core.data_encryption: the ciphertexts are what APISIX writes, computed by another library."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Run = Callable[..., Any]

KEY, OLD_KEY, LONG_KEY = "qeddd145sfvddff3", "edd1c9f0985e76a2", "qeddd145sfvddff3edd1c9f0985e76a2"
CONFIGURED = """
    local keyring = ...
    require("server.bridge").call.local_conf = function()
        return require("cjson").encode({ apisix = { data_encryption = { keyring = keyring } } })
    end
    local data_encryption = require("apisix.core.data_encryption")
"""


def encrypted(key: str, text: bytes) -> str:
    padder = padding.PKCS7(128).padder()
    padded = padder.update(text) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key.encode()), modes.CBC(key[:16].encode())).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


@pytest.mark.parametrize("key", [KEY, LONG_KEY])
@pytest.mark.parametrize("text", ["", "a", "sixteen letters!", "line\nline\0" * 50])
def test_both_ways(run_lua: Run, key: str, text: str) -> None:
    code = CONFIGURED.replace("keyring = ...", "keyring, text = ...")
    stored = encrypted(key, text.encode())
    assert run_lua(code + "return data_encryption.encrypt(text)", key, text) == stored
    assert run_lua(code + "return data_encryption.decrypt(text)", key, stored) == text


def test_the_first_key_writes_and_each_reads(run_lua: Run) -> None:
    code = (
        CONFIGURED.replace("local keyring = ...", f'local keyring = {{ "{KEY}", "{OLD_KEY}" }}')
        + "local old = ...; return data_encryption.encrypt('v'), data_encryption.decrypt(old)"
    )
    assert run_lua(code, encrypted(OLD_KEY, b"before")) == (encrypted(KEY, b"v"), "before")


def test_what_cannot_be_decrypted_says_why(run_lua: Run) -> None:
    code = (
        CONFIGURED
        + """
        local function why(...) return (select(2, data_encryption.decrypt(...))) end
        return why("no base64!"), why("bm90IGVuY3J5cHRlZA=="), why("no base64!", "ssl key"),
            why("bm90IGVuY3J5cHRlZA==", "ssl key")
    """
    )
    assert run_lua(code, KEY) == (
        "base64 decode failed",
        "decrypt failed",
        "base64 decode ssl key failed",
        "decrypt ssl key failed",
    )


def test_openssl_forgets_its_failure(run_lua: Run) -> None:
    code = (
        CONFIGURED
        + """
        local ffi = require("ffi")
        pcall(ffi.cdef, "unsigned long ERR_peek_error(void);")
        data_encryption.decrypt("bm90IGVuY3J5cHRlZA==")
        return tonumber(ffi.C.ERR_peek_error())
    """
    )
    assert run_lua(code, KEY) == 0


def test_without_a_key_texts_stay_as_they_are(run_lua: Run) -> None:
    code = CONFIGURED + "return data_encryption.encrypt('a'), data_encryption.decrypt('b')"
    assert run_lua(code, None) == ("a", "b")


def test_ciphers_of_a_keyring_of_ones_own(run_lua: Run) -> None:
    code = """
        local data_encryption = require("apisix.core.data_encryption")
        local ciphers = data_encryption.init_iv_tbl({ "short", ... })
        local none = data_encryption.init_iv_tbl(nil)
        return #ciphers, data_encryption.aes_cbc_encrypt(ciphers, "x"),
            select(2, data_encryption.aes_cbc_encrypt(none, "x")),
            select(2, data_encryption.aes_cbc_decrypt(none, "eA=="))
    """
    assert run_lua(code, KEY) == (
        1,
        encrypted(KEY, b"x"),
        "no keyring configured",
        "decrypt failed",
    )
