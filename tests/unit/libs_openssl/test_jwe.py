"""resty.jwt encrypts and decrypts tokens; the other side is `cryptography`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support import jose
from support.jwe import decrypt, encrypt
from support.x509_chain import certify, pem

Run = Callable[..., Any]

GOOD = "everything is awesome~ :p"
VERIFY = """
    local secret, token = ...
    local found = require("resty.jwt"):verify(secret, token)
    return found.verified, found.reason
"""
SIGN = """
    local jwt, cjson = require "resty.jwt", require "cjson"
    local secret, token = ...
    local ok, made = pcall(jwt.sign, jwt, secret, cjson.decode(token))
    return ok and made or made.reason
"""

ENCRYPTIONS = {"A128CBC-HS256": 32, "A256CBC-HS512": 64, "A256GCM": 32}


@pytest.mark.parametrize("enc", ENCRYPTIONS)
def test_encrypted_tokens(run_lua: Run, enc: str) -> None:
    key = bytes(range(33, 33 + ENCRYPTIONS[enc]))
    found = run_lua(
        """
        local secret, token = ...
        local found = require("resty.jwt"):verify(secret, token)
        return found.verified, found.reason, found.typ, found.payload.a
        """,
        key.decode(),
        encrypt(enc, key, {"a": "b"}),
    )
    assert found == (True, GOOD, "JWE", "b")
    token = {"header": {"typ": "JWE", "alg": "dir", "enc": enc}, "payload": {"a": "b"}}
    made = run_lua(SIGN, key.decode(), json.dumps(token))
    assert decrypt(enc, key, made) == {"a": "b"}


@pytest.mark.parametrize("enc", ENCRYPTIONS)
@pytest.mark.parametrize("part", [2, 3, 4])
def test_encrypted_tokens_that_were_changed(run_lua: Run, enc: str, part: int) -> None:
    key = b"k" * ENCRYPTIONS[enc]
    parts = encrypt(enc, key, {"a": "b"}).split(".")
    raw = bytearray(jose.decode(parts[part]))
    raw[0] ^= 1
    parts[part] = jose.encode(bytes(raw))
    verified, reason = run_lua(VERIFY, key.decode(), ".".join(parts))
    assert not verified
    assert reason.startswith(
        "failed to decrypt payload: " if enc == "A256GCM" else "signature mismatch: "
    )


def test_a_tag_that_was_cut(run_lua: Run) -> None:
    """OpenSSL would compare as much of a tag as it is given."""
    key = b"k" * 32
    parts = encrypt("A256GCM", key, {}).split(".")
    parts[4] = jose.encode(jose.decode(parts[4])[:1])
    verified, reason = run_lua(VERIFY, key.decode(), ".".join(parts))
    assert (verified, reason) == (False, "failed to decrypt payload: wrong length of the tag")


@pytest.mark.parametrize(
    ("header", "secret", "reason"),
    [
        ({"alg": "dir", "enc": "A256GCM"}, "short", "invalid pre-shared key"),
        ({"alg": "dir", "enc": "A256GCM"}, None, "preshared key must not be null"),
        ({"alg": "dir", "enc": "X"}, "k", "unsupported payload encryption algorithm :X"),
        ({"alg": "X", "enc": "A256GCM"}, "k", "invalid algorithm: X"),
    ],
)
def test_encrypted_tokens_that_cannot_be_read(
    run_lua: Run, header: dict[str, str], secret: str | None, reason: str
) -> None:
    token = f"{jose.encode(header)}..AAAA.AAAA.AAAA"
    assert run_lua(VERIFY, secret, token) == (False, reason)


def test_a_key_encrypted_with_rsa(run_lua: Run) -> None:
    key = jose.key_for("RS256")
    header = {"typ": "JWE", "alg": "RSA-OAEP-256", "enc": "A256GCM"}
    for source in (jose.public_pem(key), pem(certify("root", "RS256", "root", "RS256", True))):
        token = run_lua(SIGN, source, json.dumps({"header": header, "payload": {"a": 1}}))
        assert run_lua(VERIFY, jose.private_pem(key), token) == (True, GOOD)
        assert decrypt("A256GCM", key, token) == {"a": 1}
    theirs = encrypt("A256GCM", key, {"a": 1})
    assert run_lua(VERIFY, jose.private_pem(key), theirs) == (True, GOOD)
    other = jose.private_pem(jose.key_for("ES256"))
    assert run_lua(VERIFY, other, theirs)[1].startswith("failed to create rsa object: ")


def test_payloads_in_other_words(run_lua: Run) -> None:
    assert run_lua(
        """
        local jwt = require("resty.jwt").new()
        jwt:set_payload_encoder(function(payload) return payload.text end)
        jwt:set_payload_decoder(function(text) return {text = text} end)
        local key = ("k"):rep(32)
        local header = {alg = "dir", enc = "A256GCM"}
        local token = jwt:sign(key, {header = header, payload = {text = "x"}})
        local ok, err = pcall(jwt.set_payload_encoder, jwt, 1)
        return jwt:verify(key, token).payload.text, ok, err.reason
        """
    ) == ("x", False, "payload encoder must be function")
