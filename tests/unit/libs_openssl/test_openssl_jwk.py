"""resty.openssl.pkey reads and writes JSON Web Keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support import jose
from support.key_kinds import MAKERS, made

Run = Callable[..., Any]

PREPARE = """
    local pkey = require "resty.openssl.pkey"
    local source, a, b, c = ...
"""


def jwk_of(key: Any, kind: str) -> dict[str, str]:
    """The private key as a JWK, by hand."""

    def number(value: int, size: int | None = None) -> str:
        return jose.encode(value.to_bytes(size or -(-value.bit_length() // 8), "big"))

    numbers = key.private_numbers() if hasattr(key, "private_numbers") else None
    if kind == "RSA":
        names = ("d", "p", "q", ("dmp1", "dp"), ("dmq1", "dq"), ("iqmp", "qi"))
        public = numbers.public_numbers
        found = {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        for name in names:
            theirs, ours = name if isinstance(name, tuple) else (name, name)
            found[ours] = number(getattr(numbers, theirs))
        return found
    if numbers:
        size = -(-key.curve.key_size // 8)
        point = numbers.public_numbers
        x, y = number(point.x, size), number(point.y, size)
        d = number(numbers.private_value, size)
        return {"kty": "EC", "crv": kind, "x": x, "y": y, "d": d}
    raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    public = key.public_key().public_bytes(*raw)
    private = key.private_bytes(
        raw[0], serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    return {"kty": "OKP", "crv": kind, "x": jose.encode(public), "d": jose.encode(private)}


@pytest.mark.parametrize("kind", MAKERS)
def test_json_web_keys(run_lua: Run, kind: str) -> None:
    key = made(kind)
    jwk = jwk_of(key, kind)
    public, only_public, is_private = run_lua(
        f"""{PREPARE}
        local key = assert(pkey.new(source, {{format = "JWK"}}))
        local public = assert(pkey.new(source, {{type = "pu"}}))
        return key:to_PEM(), public:to_PEM(), public:is_private()
        """,
        json.dumps(jwk),
    )
    assert public == only_public == jose.public_pem(key)
    assert not is_private
    private, dumped_public = run_lua(
        f"{PREPARE} local key = pkey.new(source) "
        'return key:tostring("private", "JWK"), key:tostring("public", "JWK")',
        jose.private_pem(key),
    )
    written = json.loads(private)
    assert len(jose.decode(written.pop("kid"))) == 32
    assert written == jwk
    members = ("kty", "crv", "n", "e", "x", "y")
    written = json.loads(dumped_public)
    assert written.pop("kid")
    assert written == {name: jwk[name] for name in members if name in jwk}


def test_coordinates_with_zeros_before_keep_their_length(run_lua: Run) -> None:
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        if key.public_key().public_numbers().x < 1 << 248:
            break
    code = f'{PREPARE} return (pkey.new(source):tostring("public", "JWK"))'
    jwk = json.loads(run_lua(code, jose.public_pem(key)))
    assert len(jose.decode(jwk["x"])) == 32
    jwk["x"] = jose.encode(jose.decode(jwk["x"]).lstrip(b"\0"))
    assert run_lua(f"{PREPARE} return pkey.new(source):to_PEM()", json.dumps(jwk)) == (
        jose.public_pem(key)
    )


@pytest.mark.parametrize(
    ("jwk", "error"),
    [
        ("{", "error decoding JSON from JWK: "),
        ("{}", 'missing "kty" parameter from JWK'),
        ('{"kty": "oct"}', 'not yet supported jwk type "oct"'),
        ('{"kty": "RSA", "n": "AQAB"}', 'missing required parameter "e"'),
        ('{"kty": "RSA", "n": "!", "e": "!"}', "cannot decode parameter"),
        ('{"kty": "EC", "x": "AA", "y": "AA"}', 'missing required parameter "crv"'),
        ('{"kty": "EC", "crv": "P-256", "x": "AA"}', 'missing required parameter "y"'),
        ('{"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA"}', "pad_ec_coordinate: unsupported"),
        ('{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}', "EVP_PKEY_fromdata"),
        ('{"kty": "OKP", "x": "AA"}', 'missing "crv" parameter from OKP JWK'),
        ('{"kty": "OKP", "crv": "Ed25519"}', 'missing at least one of "x" or "d" parameter'),
    ],
)
def test_what_is_no_json_web_key(run_lua: Run, jwk: str, error: str) -> None:
    found, why = run_lua(f"{PREPARE} return pkey.new(source, {{format = 'JWK'}})", jwk)
    assert found is None
    assert why.startswith(f"pkey.new:load_key: jwk:load_jwk: {error}")
