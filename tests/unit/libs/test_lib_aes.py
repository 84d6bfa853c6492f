"""resty.aes against the openssl command and published vectors."""

import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

TEXT = "hello, " * 5 + "\0é"
MODES = ("ecb", "cbc", "cfb1", "cfb8", "cfb128", "ofb", "ctr")


def openssl(*arguments: str, text: str) -> bytes:
    """What `openssl enc -nosalt` makes of a text (latin-1)."""
    command = ["openssl", "enc", "-nosalt", *arguments]
    done = subprocess.run(command, input=text.encode("latin-1"), capture_output=True, check=True)
    return done.stdout


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")


@needs_openssl
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [128, 192, 256])
def test_every_mode_with_a_password(run_lua: Run, size: int, mode: str) -> None:
    name = f"-aes-{size}-{mode.removesuffix('128') if mode == 'cfb128' else mode}"
    expected = openssl(name, "-md", "sha256", "-pass", "pass:secret", text=TEXT)
    found, back = run_lua(
        f"""
        local aes = require "resty.aes"
        local it = aes:new("secret", nil, aes.cipher({size}, "{mode}"), aes.hash.sha256)
        local made = it:encrypt(...)
        return made, it:decrypt(made)
        """,
        TEXT,
    )
    assert found.encode("latin-1") == expected
    assert back == TEXT


@needs_openssl
@pytest.mark.parametrize("digest", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
def test_every_digest(run_lua: Run, digest: str) -> None:
    expected = openssl("-aes-128-cbc", "-md", digest, "-pass", "pass:secret", text=TEXT)
    code = f"""
        local aes = require "resty.aes"
        return aes:new("secret", nil, nil, aes.hash.{digest}):encrypt(...)
    """
    assert run_lua(code, TEXT).encode("latin-1") == expected


@needs_openssl
@pytest.mark.parametrize("padding", [True, False])
def test_a_key_of_ones_own(run_lua: Run, padding: bool) -> None:
    key, iv, text = "k" * 32, "i" * 16, "sixteen bytes ok"
    pad = [] if padding else ["-nopad"]
    keys = ["-K", key.encode().hex(), "-iv", iv.encode().hex()]
    expected = openssl("-aes-256-cbc", *keys, *pad, text=text)
    found = run_lua(
        """
        local key, iv, text, padding = ...
        local aes = require "resty.aes"
        local it = aes:new(key, nil, aes.cipher(256), {iv = iv}, nil, nil, padding)
        return it:encrypt(text)
        """,
        key,
        iv,
        text,
        padding,
    )
    assert found.encode("latin-1") == expected


def test_gcm(run_lua: Run) -> None:
    """The McGrew and Viega test cases 13 and 14, and what the tag covers."""
    assert run_lua(
        """
        local aes, hex = require "resty.aes", require("resty.string").to_hex
        local zeros = ("\\0"):rep(32)
        local it = aes:new(zeros, nil, aes.cipher(256, "gcm"), {iv = zeros:sub(1, 12)})
        local empty, one = it:encrypt(""), it:encrypt(zeros:sub(1, 16))
        local covered = it:encrypt("text", "further")
        local wrong, err = it:decrypt(covered[1], covered[2], "other")
        return hex(empty[2]), hex(one[1]), hex(one[2]),
            it:decrypt(covered[1], covered[2], "further"), wrong, err
        """
    ) == (
        "530f8afbc74536b9a963b4f1c4cb738b",
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
        "text",
        None,
        "EVP_DecryptFinal_ex failed",
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ('"secret", "short"', "salt must be 8 characters or nil"),
        ('("k"):rep(16), nil, nil, {}', "iv is needed"),
        ('("k"):rep(16), nil, nil, {iv = ("i"):rep(17)}', "bad iv length"),
        ('"short", nil, nil, {iv = "i"}', "bad key length"),
        ('"secret", nil, nil, {iv = "i", method = function() return "x" end}', "bad key length"),
    ],
)
def test_says_what_is_wrong(run_lua: Run, arguments: str, error: str) -> None:
    assert run_lua(f'return require("resty.aes"):new({arguments})') == (None, error)


def test_what_cannot_be_decrypted(run_lua: Run) -> None:
    assert run_lua('return require("resty.aes"):new("secret"):decrypt("not a block")') == (
        None,
        "EVP_DecryptFinal_ex failed",
    )


def test_an_unknown_cipher_is_none(run_lua: Run) -> None:
    assert run_lua('return require("resty.aes").cipher(128, "nope")') is None


def test_a_method_needs_its_object(run_lua: Run) -> None:
    ok, error = run_lua('return pcall(require("resty.aes"):new("secret").encrypt, "text")')
    assert not ok
    assert error.endswith("bad argument #1 self: table expected, got string")
