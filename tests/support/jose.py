"""Tokens and their signatures made and verified by `cryptography`, an oracle for what Lua does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils

SHARED = ("HS256", "HS384", "HS512")
OF_KEYS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)

_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@cache
def key_for(alg: str) -> Any:
    """A private key for an algorithm; the same at every call."""
    if alg in _CURVES:
        return ec.generate_private_key(_CURVES[alg])
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if alg == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return _rsa_key()


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def private_pem(key: Any) -> str:
    """The key as PEM (PKCS#8)."""
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


def public_pem(key: Any) -> str:
    """The public part of a private key as PEM."""
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


def pad(alg: str) -> padding.AsymmetricPadding:
    """The padding of an RSA algorithm; the salt of PSS is as long as the digest."""
    digest = _HASHES[alg[2:]]
    if alg.startswith("PS"):
        return padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()


def sign(alg: str, key: Any, message: bytes) -> bytes:
    """The JOSE signature; key: a private key, or bytes for HMAC."""
    if alg in SHARED:
        return hmac.digest(key, message, getattr(hashlib, f"sha{alg[2:]}"))
    if alg in ("EdDSA", "Ed448"):
        return bytes(key.sign(message))
    if alg in _CURVES:
        size = -(-key.curve.key_size // 8)
        numbers = utils.decode_dss_signature(key.sign(message, ec.ECDSA(_HASHES[alg[2:]])))
        return b"".join(number.to_bytes(size, "big") for number in numbers)
    return bytes(key.sign(message, pad(alg), _HASHES[alg[2:]]))


def is_signed(alg: str, key: Any, signature: bytes, message: bytes) -> bool:
    """Is that the signature of the private key `key`?"""
    public = key.public_key()
    try:
        if alg in ("EdDSA", "Ed448"):
            public.verify(signature, message)
        elif alg in _CURVES:
            half = len(signature) // 2
            numbers = [int.from_bytes(part, "big") for part in (signature[:half], signature[half:])]
            der = utils.encode_dss_signature(*numbers)
            public.verify(der, message, ec.ECDSA(_HASHES[alg[2:]]))
        elif alg.startswith("PS"):
            digest = _HASHES[alg[2:]]
            any_salt = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
            public.verify(signature, message, any_salt, digest)
        else:
            public.verify(signature, message, pad(alg), _HASHES[alg[2:]])
    except InvalidSignature:
        return False
    return True


def encode(value: Any) -> str:
    """Base64url of bytes, or of anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def token(alg: str, key: Any, payload: Any, /, **header: Any) -> str:
    """A signed token; header: more members, or others in the stead of alg and typ."""
    message = f"{encode({'typ': 'JWT', 'alg': alg, **header})}.{encode(payload)}"
    return f"{message}.{encode(sign(alg, key, message.encode()))}"
