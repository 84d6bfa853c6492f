"""resty.openssl.pkey signs what `cryptography` verifies, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from support import jose

Run = Callable[..., Any]

ALGORITHMS = (*jose.OF_KEYS, "Ed448")
MESSAGE = b"a message\0\xff"

SIGN = """
    local pem, message, digest, padding, raw = ...
    local key = assert(require("resty.openssl.pkey").new(pem))
    return key:sign(message, digest, padding, {ecdsa_use_raw = raw})
"""
VERIFY = """
    local pem, message, digest, padding, raw, signature = ...
    local key = assert(require("resty.openssl.pkey").new(pem))
    local ok, err = key:verify(signature, message, digest, padding, {ecdsa_use_raw = raw})
    return ok, err ~= nil
"""


def text(raw: bytes) -> str:
    return raw.decode("latin-1")


def how(alg: str) -> tuple[str | None, int | None, bool]:
    """Digest, padding and whether the signature is r and s, as pkey:sign takes them."""
    digest = f"sha{alg[2:]}" if alg[2:] in ("256", "384", "512") else None
    return digest, 6 if alg.startswith("PS") else None, alg.startswith("ES")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_is_signed_here_is_verified_there(run_lua: Run, alg: str) -> None:
    key = jose.key_for(alg)
    made = run_lua(SIGN, jose.private_pem(key), text(MESSAGE), *how(alg)).encode("latin-1")
    assert jose.is_signed(alg, key, made, MESSAGE)
    assert not jose.is_signed(alg, key, made, b"another")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_is_signed_there_is_verified_here(run_lua: Run, alg: str) -> None:
    key = jose.key_for(alg)
    signature = jose.sign(alg, key, MESSAGE)
    for pem in (jose.public_pem(key), jose.private_pem(key)):
        found = run_lua(VERIFY, pem, text(MESSAGE), *how(alg), text(signature))
        assert found == (True, False)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_is_not_signed(run_lua: Run, alg: str) -> None:
    key = jose.key_for(alg)
    signature = bytearray(jose.sign(alg, key, MESSAGE))
    pem = jose.public_pem(key)
    assert run_lua(VERIFY, pem, "another", *how(alg), text(bytes(signature))) == (False, True)
    signature[-1] ^= 1
    changed = text(bytes(signature))
    assert run_lua(VERIFY, pem, text(MESSAGE), *how(alg), changed) == (False, True)
    for wrong in ("", "x", changed[:-1]):
        ok, says_why = run_lua(VERIFY, pem, text(MESSAGE), *how(alg), wrong)
        assert not ok
        assert says_why


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_signatures_in_der(run_lua: Run, alg: str) -> None:
    key = jose.key_for(alg)
    made = run_lua(SIGN, jose.private_pem(key), text(MESSAGE), "sha256", None, False)
    key.public_key().verify(made.encode("latin-1"), MESSAGE, ec.ECDSA(hashes.SHA256()))
    signature = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    arguments = (text(MESSAGE), "sha256", None, False, text(signature))
    assert run_lua(VERIFY, jose.public_pem(key), *arguments) == (True, False)


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_digest_that_has_been_fed(run_lua: Run, alg: str) -> None:
    key = jose.key_for(alg)
    made, verified, other = run_lua(
        """
        local pem, message, digest = ...
        local digests, key = require "resty.openssl.digest", require("resty.openssl.pkey").new(pem)
        local function fed(text)
            local made = digests.new(digest)
            made:update(text:sub(1, 3), text:sub(4))
            return made
        end
        local signature = assert(key:sign(fed(message)))
        return signature, key:verify(signature, fed(message)), (key:verify(signature, fed("other")))
        """,
        jose.private_pem(key),
        text(MESSAGE),
        "sha256",
    )
    assert (verified, other) == (True, False)
    if alg == "RS256":
        assert jose.is_signed(alg, key, made.encode("latin-1"), MESSAGE)
    else:
        key.public_key().verify(made.encode("latin-1"), MESSAGE, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("salt", [0, 20, 32, -1])
def test_pss_with_a_salt_of_that_length(run_lua: Run, salt: int) -> None:
    key = jose.key_for("PS256")
    made = run_lua(
        """
        local pem, message, salt = ...
        local pkey = require "resty.openssl.pkey"
        local opts = {pss_saltlen = salt, mgf1_md = "sha1"}
        return pkey.new(pem):sign(message, "sha256", pkey.PADDINGS.RSA_PKCS1_PSS_PADDING, opts)
        """,
        jose.private_pem(key),
        text(MESSAGE),
        salt,
    )
    pss = padding.PSS(padding.MGF1(hashes.SHA1()), 32 if salt == -1 else salt)
    key.public_key().verify(made.encode("latin-1"), MESSAGE, pss, hashes.SHA256())


def test_options_by_name(run_lua: Run) -> None:
    assert run_lua(
        """
        local pkey = require "resty.openssl.pkey"
        local key = pkey.new(...)
        local opts = {"rsa_padding_mode:pss", "rsa_pss_saltlen:8"}
        local signature = assert(key:sign("text", "sha256", nil, opts))
        local _, unknown = key:sign("text", "sha256", nil, {"nonsense"})
        return (key:verify(signature, "text", "sha256", nil, opts)),
            (key:verify(signature, "text", "sha256")), unknown
        """,
        jose.private_pem(jose.key_for("PS256")),
    ) == (True, False, "pkey:sign_verify_prepare: unknown ctrl str: nonsense")


def test_raw_signatures_of_digests(run_lua: Run) -> None:
    key = jose.key_for("RS256")
    hashed = hashes.Hash(hashes.SHA256())
    hashed.update(MESSAGE)
    digest = hashed.finalize()
    prehashed = utils.Prehashed(hashes.SHA256())
    signature = key.sign(digest, padding.PKCS1v15(), prehashed)
    verified, other, made, recovered = run_lua(
        """
        local private, public, digest, signature = ...
        local pkey = require "resty.openssl.pkey"
        private, public = pkey.new(private), pkey.new(public)
        local verified = public:verify_raw(signature, digest, "sha256")
        local other = public:verify_raw(signature, ("x"):rep(32), "sha256")
        local made = assert(private:sign_raw("some bytes"))
        return verified, other, made, public:verify_recover(made)
        """,
        jose.private_pem(key),
        jose.public_pem(key),
        text(digest),
        text(signature),
    )
    assert (verified, other, recovered) == (True, None, "some bytes")
    assert len(made) == 256


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_public_key_signs_nothing(run_lua: Run, alg: str) -> None:
    found, error = run_lua(
        f"local a, b = (function(...) {SIGN} end)(...) return a, b",
        jose.public_pem(jose.key_for(alg)),
        "text",
        *how(alg),
    )
    assert found is None
    assert error.startswith("pkey:sign: ")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('key:sign("text", "nope")', 'pkey:sign_verify_prepare: invalid digest type "nope"'),
        ("key:sign(1)", "pkey:sign: expect a digest instance or a string at #1"),
        ("key:verify(1)", "pkey:verify: expect a string at #1"),
        ('key:verify("", 1)', "pkey:verify: expect a digest instance or a string at #2"),
        ("key:encrypt(1)", "pkey:asymmetric_routine: expect a string at #1"),
    ],
)
def test_says_what_is_wrong(run_lua: Run, call: str, error: str) -> None:
    code = f'local key = require("resty.openssl.pkey").new(...) return {call}'
    assert run_lua(code, jose.private_pem(jose.key_for("RS256"))) == (None, error)


def test_a_raw_signature_of_a_wrong_length(run_lua: Run) -> None:
    pem = jose.public_pem(jose.key_for("ES256"))
    found = run_lua(
        """
        local key = require("resty.openssl.pkey").new(...)
        return key:verify(("x"):rep(63), "text", "sha256", nil, {ecdsa_use_raw = true})
        """,
        pem,
    )
    expected = "ecdsa.sig_raw2der: invalid signature length, expect 64 but got 63"
    assert found == (None, f"pkey:sign: {expected}")


@pytest.mark.parametrize("digest", [None, "sha1", "sha256"])
def test_encryption_is_undone_there_and_here(run_lua: Run, digest: str | None) -> None:
    key = jose.key_for("RS256")
    if digest:
        algorithm = hashes.SHA1() if digest == "sha1" else hashes.SHA256()
        scheme: Any = padding.OAEP(padding.MGF1(algorithm), algorithm, None)
    else:
        scheme = padding.PKCS1v15()
    theirs = key.public_key().encrypt(MESSAGE, scheme)
    ours, back, fails = run_lua(
        """
        local pem, digest, message, encrypted = ...
        local pkey = require "resty.openssl.pkey"
        local key = pkey.new(pem)
        local padding = digest and pkey.PADDINGS.RSA_PKCS1_OAEP_PADDING
        local opts = digest and {oaep_md = digest}
        return key:encrypt(message, padding, opts), (key:decrypt(encrypted, padding, opts)),
            (key:encrypt(("x"):rep(300), padding, opts))
        """,
        jose.private_pem(key),
        digest,
        text(MESSAGE),
        text(theirs),
    )
    assert key.decrypt(ours.encode("latin-1"), scheme) == MESSAGE
    assert back == text(MESSAGE)
    assert fails is None
