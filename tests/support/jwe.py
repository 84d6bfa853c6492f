"""Encrypted tokens (RFC 7516) made and read by `cryptography`."""

from __future__ import annotations

import hmac
import json
import os
from typing import Any

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.jose import decode, encode

_OAEP = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def _tag(enc: str, key: bytes, header: str, iv: bytes, text: bytes) -> bytes:
    half = len(key) // 2
    message = header.encode() + iv + text + (len(header) * 8).to_bytes(8, "big")
    return hmac.digest(key[:half], message, f"sha{enc[-3:]}")[:half]


def encrypt(enc: str, key: Any, payload: Any) -> str:
    """A token; key: bytes, or an RSA key whose public part encrypts a new one."""
    alg, wrapped = "dir", b""
    if not isinstance(key, bytes):
        alg, public = "RSA-OAEP-256", key.public_key()
        key = os.urandom(32)
        wrapped = public.encrypt(key, _OAEP)
    header, raw = encode({"alg": alg, "enc": enc}), json.dumps(payload).encode()
    if enc.endswith("GCM"):
        iv = os.urandom(12)
        sealed = AESGCM(key).encrypt(iv, raw, header.encode())
        text, tag = sealed[:-16], sealed[-16:]
    else:
        iv = os.urandom(16)
        padder = padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(key[len(key) // 2 :]), modes.CBC(iv)).encryptor()
        text = encryptor.update(padder.update(raw) + padder.finalize()) + encryptor.finalize()
        tag = _tag(enc, key, header, iv, text)
    return ".".join([header, *map(encode, (wrapped, iv, text, tag))])


def decrypt(enc: str, key: Any, token: str) -> Any:
    """The payload of a token; key: bytes, or a private RSA key."""
    header, wrapped, *rest = token.split(".")
    iv, text, tag = map(decode, rest)
    if not isinstance(key, bytes):
        key = key.decrypt(decode(wrapped), _OAEP)
    if enc.endswith("GCM"):
        return json.loads(AESGCM(key).decrypt(iv, text + tag, header.encode()))
    assert tag == _tag(enc, key, header, iv, text)
    decryptor = Cipher(algorithms.AES(key[len(key) // 2 :]), modes.CBC(iv)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    padded = decryptor.update(text) + decryptor.finalize()
    return json.loads(unpadder.update(padded) + unpadder.finalize())
