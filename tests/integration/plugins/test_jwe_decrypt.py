"""The plugin jwe-decrypt: the upstream gets what the client encrypted."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support import jose
from support.gateway import Gateway

from pygw.testing.messages import Answer

KEY = b"-secret-length-must-be-32-chars-"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With the keys k1 and, in base64, k2."""
    plain = {"data_encryption": {"enable_encrypt_fields": False}}  # else lengths are not checked
    gateway = start_gateway(plugins=["jwe-decrypt"], apisix=plain)
    encoded = base64.urlsafe_b64encode(KEY).rstrip(b"=").decode()
    for name, conf in (
        ("one", {"key": "k1", "secret": KEY.decode()}),
        ("two", {"key": "k2", "secret": encoded, "is_base64_encoded": True}),
    ):
        gateway.put(f"consumers/{name}", {"username": name, "plugins": {"jwe-decrypt": conf}})
    return gateway


def seal(text: str, key: bytes = KEY, **header: Any) -> str:
    """A token as jwe-decrypt takes it: its tag does not cover the header."""
    iv = os.urandom(12)
    sealed = AESGCM(key).encrypt(iv, text.encode(), None)
    parts = ({"alg": "dir", "enc": "A256GCM", **header}, b"", iv, sealed[:-16], sealed[-16:])
    return ".".join(map(jose.encode, parts))


CONF = {"header": "Authorization", "forward_header": "Authorization"}


def send(gateway: Gateway, token: str) -> Answer:
    return gateway.ask(gateway.route({"jwe-decrypt": CONF}), {"Authorization": token})


@pytest.mark.parametrize("kid", ["k1", "k2"])
@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_the_upstream_gets_the_text(gateway: Gateway, kid: str, scheme: str) -> None:
    assert send(gateway, scheme + seal("hello", kid=kid)).status == 200
    assert gateway.upstream.last.headers.get("Authorization") == "hello"


def test_other_headers(gateway: Gateway) -> None:
    conf = {"header": "X-Sealed", "forward_header": "X-Open"}
    token = seal("hello", kid="k1")
    gateway.ask(gateway.route({"jwe-decrypt": conf}), {"X-Sealed": token})
    assert gateway.upstream.last.headers.get("X-Open") == "hello"
    assert gateway.upstream.last.headers.get("X-Sealed") == token


def test_without_a_token(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"jwe-decrypt": CONF}))
    assert answer.status == 403
    assert answer.json() == {"message": "missing JWE token in request"}
    assert gateway.ask(gateway.route({"jwe-decrypt": {**CONF, "strict": False}})).status == 200


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: "abc", "JWE token invalid"),
        (lambda: "!.a.b.c.d", "JWE token invalid"),
        (lambda: f"{jose.encode(b'no json')}....", "JWE token invalid"),
        (lambda: seal("x"), "missing kid in JWE token"),
        (lambda: seal("x", kid="ghost"), "invalid kid in JWE token"),
        (lambda: seal("x", b"k" * 32, kid="k1"), "failed to decrypt JWE token"),
        (lambda: seal("x", kid="k1")[:-6], "failed to decrypt JWE token"),
        (lambda: f"{seal('x', kid='k1').rpartition('.')[0]}.", "failed to decrypt JWE token"),
    ],
)
def test_what_is_refused(gateway: Gateway, make: Callable[[], str], message: str) -> None:
    answer = send(gateway, make())
    assert answer.status == 400
    assert answer.json() == {"message": message}


@pytest.mark.parametrize("name", CONF)
def test_configurations_of_a_route_that_are_refused(gateway: Gateway, name: str) -> None:
    conf = {key: value for key, value in CONF.items() if key != name}
    assert f'property "{name}" is required' in gateway.complaint({"jwe-decrypt": conf})


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"key": "k"}, 'property "secret" is required'),
        ({"secret": KEY.decode()}, 'property "key" is required'),
        ({"key": "k", "secret": "short"}, "the secret length should be 32 chars"),
        (
            {"key": "k", "secret": "c2hvcnQ", "is_base64_encoded": True},
            "the secret length after base64 decode should be 32 chars",
        ),
    ],
)
def test_configurations_of_a_consumer_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.refused("consumers/bad", {"username": "bad", "plugins": {"jwe-decrypt": conf}})
    assert f"failed to check the configuration of plugin jwe-decrypt err: {reason}" in log
