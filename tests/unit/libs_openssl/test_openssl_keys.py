"""resty.openssl.pkey reads and writes keys as `cryptography` does, and makes new ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x448
from support import jose
from support.key_kinds import MAKERS, made

Run = Callable[..., Any]

PREPARE = """
    local pkey = require "resty.openssl.pkey"
    local source, a, b, c = ...
"""


def public_der(key: Any) -> bytes:
    der: bytes = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return der


def private_der(key: Any, layout: str = "PKCS8") -> bytes:
    der: bytes = key.private_bytes(
        serialization.Encoding.DER,
        getattr(serialization.PrivateFormat, layout),
        serialization.NoEncryption(),
    )
    return der


@pytest.mark.parametrize("kind", MAKERS)
def test_private_keys(run_lua: Run, kind: str) -> None:
    key = made(kind)
    for source in (jose.private_pem(key), private_der(key).decode("latin-1")):
        private, public, is_private = run_lua(
            f"""{PREPARE}
            local key = assert(pkey.new(source))
            return key:to_PEM("private"), key:to_PEM("public"), key:is_private()
            """,
            source,
        )
        assert is_private
        assert public == jose.public_pem(key)
        read = serialization.load_pem_private_key(private.encode(), None)
        assert private_der(read) == private_der(key)


@pytest.mark.parametrize("kind", MAKERS)
def test_public_keys(run_lua: Run, kind: str) -> None:
    key = made(kind)
    for source in (jose.public_pem(key), public_der(key).decode("latin-1")):
        pem, der, is_private, text = run_lua(
            f"""{PREPARE}
            local key = assert(pkey.new(source))
            return key:to_PEM(), key:tostring("public", "DER"), key:is_private(), tostring(key)
            """,
            source,
        )
        assert pem == text == jose.public_pem(key)
        assert der.encode("latin-1") == public_der(key)
        assert not is_private


@pytest.mark.parametrize("kind", [*MAKERS][:5])
def test_traditional_private_keys(run_lua: Run, kind: str) -> None:
    key = made(kind)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    code = f"{PREPARE} return pkey.new(source):to_PEM()"
    assert run_lua(code, pem.decode()) == jose.public_pem(key)
    der = private_der(key, "TraditionalOpenSSL").decode("latin-1")
    assert run_lua(code, der) == jose.public_pem(key)


def test_type_and_format_can_be_demanded(run_lua: Run) -> None:
    key = made("RSA")
    private, public = jose.private_pem(key), jose.public_pem(key)
    code = f"{PREPARE} return (pkey.new(source, {{type = a, format = b}})) ~= nil"
    for source, kind, layout, fits in (
        (private, "pr", "PEM", True),
        (private, "pu", "PEM", False),
        (private, "pr", "DER", False),
        (public, "pu", "*", True),
        (public, "pr", "*", False),
        (public, None, "PEM", True),
        (public, None, "JWK", False),
    ):
        assert run_lua(code, source, kind, layout) is fits


def test_an_encrypted_key(run_lua: Run) -> None:
    key = made("RSA")
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()
    right, by_function, wrong, without, error = run_lua(
        f"""{PREPARE}
        local _, err = pkey.new(source, {{passphrase = 1}})
        return pkey.new(source, {{passphrase = "secret"}}):to_PEM(),
            pkey.new(source, {{passphrase_cb = function() return "secret" end}}):to_PEM(),
            (pkey.new(source, {{passphrase = "wrong"}})), (pkey.new(source)), err
        """,
        pem,
    )
    assert right == by_function == jose.public_pem(key)
    assert (wrong, without) == (None, None)
    assert error == "pkey.new:load_key: passphrase must be a string"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ('"nonsense"', "pkey.new:load_key: error:"),
        ('""', "pkey.new:load_key: error:"),
        ("1", "pkey.new: unexpected type number at #1"),
        ('require("ffi").new("int[1]")', "pkey.new: expect a EVP_PKEY* cdata at #1"),
        ('{type = "EC", curve = "nope"}', "pkey.new:new_key: unknown curve nope"),
        ('{type = "nope"}', "pkey.new:new_key: EVP_PKEY_CTX_new_from_name: error:"),
        ('{type = "RSA", bits = 99999}', "pkey.new:new_key: bits out of range"),
        ('"x", {format = "X"}', "pkey.new:load_key: expecting 'DER', 'PEM', 'JWK' or '*'"),
        ('"x", {type = "X"}', "pkey.new:load_key: expecting 'pr', 'pu' or '*' as \"type\""),
    ],
)
def test_says_what_is_wrong(run_lua: Run, source: str, error: str) -> None:
    found, why = run_lua(f'return require("resty.openssl.pkey").new({source})')
    assert found is None
    assert why.startswith(error)


@pytest.mark.parametrize(
    ("source", "name", "check"),
    [
        ("nil", "rsaEncryption", lambda key: key.key_size == 2048),
        ('{type = "RSA", bits = 3072}', "rsaEncryption", lambda key: key.key_size == 3072),
        (
            '{type = "RSA", bits = 2048, exp = 3}',
            "rsaEncryption",
            lambda key: key.public_key().public_numbers().e == 3,
        ),
        (
            '{type = "EC", curve = "secp384r1"}',
            "id-ecPublicKey",
            lambda key: key.curve.name == "secp384r1",
        ),
        ('{type = "Ed25519"}', "ED25519", lambda key: isinstance(key, ed25519.Ed25519PrivateKey)),
        ('{type = "X448"}', "X448", lambda key: isinstance(key, x448.X448PrivateKey)),
    ],
)
def test_new_keys(run_lua: Run, source: str, name: str, check: Callable[[Any], bool]) -> None:
    pem, kind, nid, size = run_lua(
        f"""
        local key = assert(require("resty.openssl.pkey").new({source}))
        return key:to_PEM("private"), key:get_key_type().sn, key:get_key_type(true), key:get_size()
        """
    )
    assert kind == name
    assert nid > 0
    assert size > 0
    assert check(serialization.load_pem_private_key(pem.encode(), None))


def test_a_key_of_parameters_that_were_made_before(run_lua: Run) -> None:
    assert run_lua(
        """
        local pkey = require "resty.openssl.pkey"
        local param = assert(pkey.paramgen({type = "EC", curve = "prime256v1"}))
        local key = assert(pkey.new({type = "EC", param = param}))
        local dh = assert(pkey.new({type = "DH", group = "ffdhe2048"}))
        return param:match("BEGIN [%u ]+"), key:get_parameters().group, dh:get_key_type().sn
        """
    ) == ("BEGIN EC PARAMETERS", 415, "dhKeyAgreement")


def test_parameters_of_rsa(run_lua: Run) -> None:
    key = made("RSA")
    numbers = key.private_numbers()
    names = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp", "nope")
    found = run_lua(
        f"""{PREPARE}
        local found = pkey.new(source):get_parameters()
        local texts = {{}}
        for name in a:gmatch("%w+") do
            texts[#texts + 1] = tostring(found[name])
        end
        return table.concat(texts, " ")
        """,
        jose.private_pem(key),
        " ".join(names),
    )
    public = numbers.public_numbers
    wanted = [public.n, public.e, *(getattr(numbers, name) for name in names[2:-1]), None]
    assert found.split(" ") == [str(value).replace("None", "nil") for value in wanted]


def test_parameters_of_curves(run_lua: Run) -> None:
    key = made("P-256")
    numbers = key.private_numbers()
    x, y, private, group, absent = run_lua(
        f"""{PREPARE}
        local found = pkey.new(source):get_parameters()
        return tostring(found.x), tostring(found.y), tostring(found.private), found.group,
            pkey.new(a):get_parameters().private
        """,
        jose.private_pem(key),
        jose.public_pem(key),
    )
    point = numbers.public_numbers
    assert (int(x), int(y), int(private)) == (point.x, point.y, numbers.private_value)
    assert group == 415
    assert absent is None


@pytest.mark.parametrize("kind", MAKERS)
def test_a_key_composed_of_parameters(run_lua: Run, kind: str) -> None:
    name = "EC" if kind.startswith(("P-", "secp")) else kind
    given = {"RSA": "n e d p q dmp1 dmq1 iqmp", "EC": "group x y private"}.get(name, "private")
    found = run_lua(
        f"""{PREPARE}
        local found, params = pkey.new(source):get_parameters(), {{}}
        for name in b:gmatch("%w+") do
            params[name] = found[name]
        end
        return assert(pkey.new({{type = a, params = params}})):to_PEM("private")
        """,
        jose.private_pem(made(kind)),
        name,
        given,
    )
    read = serialization.load_pem_private_key(found.encode(), None)
    assert public_der(read) == public_der(made(kind))


def test_changed_parameters(run_lua: Run) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    found = run_lua(
        f"""{PREPARE}
        local key, other = pkey.new(source), pkey.new(a):get_parameters()
        assert(key:set_parameters({{x = other.x, y = other.y, private = other.private}}))
        return key:to_PEM("private")
        """,
        jose.private_pem(made("P-256")),
        jose.private_pem(other),
    )
    read = serialization.load_pem_private_key(found.encode(), None)
    assert private_der(read) == private_der(other)


@pytest.mark.parametrize(
    ("kind", "exchange"),
    [
        ("P-256", lambda key, peer: key.exchange(ec.ECDH(), peer.public_key())),
        ("X25519", lambda key, peer: key.exchange(peer.public_key())),
    ],
)
def test_an_agreed_secret(run_lua: Run, kind: str, exchange: Callable[[Any, Any], bytes]) -> None:
    key, peer = made(kind), MAKERS[kind]()
    found = run_lua(
        f"{PREPARE} return pkey.new(source):derive(pkey.new(a))",
        jose.private_pem(key),
        jose.public_pem(peer),
    )
    assert found.encode("latin-1") == exchange(key, peer)


def test_the_default_digest(run_lua: Run) -> None:
    code = f"{PREPARE} local found = pkey.new(source):get_default_digest_type() return found.sn"
    assert run_lua(code, jose.private_pem(made("RSA"))) == "SHA256"


def test_istype(run_lua: Run) -> None:
    code = f"""{PREPARE}
        local digest = require("resty.openssl.digest").new("sha256")
        return pkey.istype(pkey.new(source)), pkey.istype(digest), not pkey.istype(nil)
    """
    assert run_lua(code, jose.private_pem(made("RSA"))) == (True, False, True)
