"""resty.jwt signs, verifies and refuses tokens; the other side is `cryptography`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import jose
from support.x509_chain import certify, der, pem

Run = Callable[..., Any]

GOOD = "everything is awesome~ :p"
ALGORITHMS = ("HS256", "HS512", "RS256", "RS512", "ES256", "ES512")
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


def secret_of(alg: str, private: bool = False) -> str:
    if alg in jose.SHARED:
        return "secret"
    return (jose.private_pem if private else jose.public_pem)(jose.key_for(alg))


def signed(alg: str, payload: Any, **header: Any) -> str:
    key = b"secret" if alg in jose.SHARED else jose.key_for(alg)
    return jose.token(alg, key, payload, **header)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_token_signed_there(run_lua: Run, alg: str) -> None:
    found = run_lua(
        """
        local secret, token = ...
        local found = require("resty.jwt"):verify(secret, token)
        return found.verified, found.reason, found.valid, found.typ, found.header.alg,
            found.payload.a
        """,
        secret_of(alg),
        signed(alg, {"a": [1]}),
    )
    assert found[:5] == (True, GOOD, True, "JWT", alg)
    assert found[5][1] == 1


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_token_signed_here(run_lua: Run, alg: str) -> None:
    token = {"header": {"typ": "JWT", "alg": alg}, "payload": {"a": "\u00e9"}}
    made = run_lua(SIGN, secret_of(alg, private=True), json.dumps(token))
    header, payload, signature = made.split(".")
    assert json.loads(jose.decode(header)) == token["header"]
    assert json.loads(jose.decode(payload)) == token["payload"]
    message, raw = f"{header}.{payload}".encode(), jose.decode(signature)
    if alg in jose.SHARED:
        assert jose.sign(alg, b"secret", message) == raw
    else:
        assert jose.is_signed(alg, jose.key_for(alg), raw, message)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_changed_token(run_lua: Run, alg: str) -> None:
    header, _, signature = signed(alg, {"sub": "user"}).split(".")
    forged = f"{header}.{jose.encode({'sub': 'admin'})}.{signature}"
    reason = f"signature mismatch: {signature}" if alg in jose.SHARED else "Verification failed"
    assert run_lua(VERIFY, secret_of(alg), forged) == (False, reason)


@pytest.mark.parametrize("alg", ALGORITHMS[2:])
@pytest.mark.parametrize("shared", ["HS256", "HS512"])
def test_a_public_key_is_no_secret(run_lua: Run, alg: str, shared: str) -> None:
    """Whoever has the public key could sign with it; lua-resty-jwt would take that."""
    token = jose.token(shared, secret_of(alg).encode(), {})
    assert run_lua(VERIFY, secret_of(alg), token) == (
        False,
        f"a public key is no secret for {shared}",
    )


def test_a_certificate_is_no_secret(run_lua: Run) -> None:
    certificate = pem(certify("root", "RS256", "root", "RS256", True))
    token = jose.token("HS256", certificate.encode(), {})
    assert run_lua(VERIFY, certificate, token)[0] is False


@pytest.mark.parametrize(
    ("alg", "key_alg"), [("RS256", "ES256"), ("ES256", "RS256"), ("RS256", "EdDSA")]
)
def test_a_key_of_another_kind(run_lua: Run, alg: str, key_alg: str) -> None:
    token = jose.token(key_alg, jose.key_for(key_alg), {}, alg=alg)
    verified, reason = run_lua(VERIFY, secret_of(key_alg), token)
    assert not verified
    assert reason == "Verification failed"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "invalid jwt string"),
        ("a.b", "invalid jwt string"),
        ("a.b.c.d.e.f", "invalid jwt string"),
        ("!.e30.AA", "invalid header: !"),
        ("e30.!.AA", "invalid payload: !"),
        (f"{jose.encode(1)}.e30.AA", "invalid header: MQ"),
        (f"e30.{jose.encode(None)}.AA", "invalid payload: bnVsbA"),
        ("e30.e30.AA", "No algorithm supplied"),
        (f"{jose.encode({'alg': 'none'})}.e30.AA", "Unsupported algorithm none"),
        (f"{jose.encode({'alg': 'HS384'})}.e30.AA", "Unsupported algorithm HS384"),
        (f"{jose.encode({'alg': 'RS256'})}.e30.!", "Decode secret is not a valid cert/public key"),
    ],
)
def test_what_is_no_token(run_lua: Run, token: str, reason: str) -> None:
    assert run_lua(VERIFY, "secret", token) == (False, reason)


@pytest.mark.parametrize("value", ["nil", "1", "{}", "true"])
def test_what_is_no_string(run_lua: Run, value: str) -> None:
    code = f'local it = require("resty.jwt"):load_jwt({value}) return it.valid, it.reason'
    assert run_lua(code) == (False, "invalid jwt string")


@pytest.mark.parametrize(
    ("secret", "token", "reason"),
    [
        ("s", {"header": {"typ": "X", "alg": "HS256"}, "payload": {}}, "invalid typ: X"),
        ("s", {"header": {"alg": "XS"}, "payload": {}}, "unsupported alg: XS"),
        ("s", {"header": {"alg": "HS256"}}, "missing part payload"),
    ],
)
def test_what_cannot_be_signed(
    run_lua: Run, secret: str, token: dict[str, Any], reason: str
) -> None:
    assert run_lua(SIGN, secret, json.dumps(token)) == reason


def test_a_key_that_is_none(run_lua: Run) -> None:
    token = json.dumps({"header": {"alg": "RS256"}, "payload": {}})
    assert run_lua(SIGN, "nonsense", token).startswith("signer error: ")
    assert run_lua(VERIFY, "-----BEGIN PUBLIC KEY-----", signed("RS256", {})) == (
        False,
        "Decode secret is not a valid cert/public key",
    )


def test_a_secret_by_kid(run_lua: Run) -> None:
    code = """
        local jwt, token = require "resty.jwt", ...
        local function secret(kid)
            return kid == "k1" and "secret" or nil
        end
        local found = jwt:verify(secret, token)
        return found.verified, found.reason
    """
    assert run_lua(code, signed("HS256", {}, kid="k1")) == (True, GOOD)
    assert run_lua(code, signed("HS256", {}, kid="k2")) == (
        False,
        "function returned nil for kid: k2",
    )
    assert run_lua(code, signed("HS256", {})) == (
        False,
        "secret function specified without kid in header",
    )


def test_a_list_of_algorithms(run_lua: Run) -> None:
    code = """
        local jwt, alg, token = require("resty.jwt").new(), ...
        jwt:set_alg_whitelist({[alg] = 1})
        local found = jwt:verify("secret", token)
        return found.verified, found.reason, require("resty.jwt").alg_whitelist
    """
    assert run_lua(code, "HS256", signed("HS256", {})) == (True, GOOD, None)
    assert run_lua(code, "RS256", signed("HS256", {})) == (
        False,
        "whitelist unsupported alg: HS256",
        None,
    )


def test_a_certificate_as_the_secret(run_lua: Run) -> None:
    certificate = certify("root", "RS256", "root", "RS256", True)
    assert run_lua(VERIFY, pem(certificate), signed("RS256", {})) == (True, GOOD)


def test_certificates_that_tokens_bring_along(run_lua: Run, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(pem(certify("root", "RS256", "root", "RS256", True)))
    code = """
        local jwt, file, token, certificate = require("resty.jwt").new(), ...
        jwt:set_trusted_certs_file(file)
        if certificate then
            jwt:set_x5u_content_retriever(function(url)
                return url == "https://certs/1" and certificate or error("no")
            end)
        end
        local found = jwt:verify(nil, token)
        return found.verified, found.reason
    """
    leaf = certify("leaf", "ES256", "root", "RS256", False)
    x5c = [base64.b64encode(der(leaf)).decode()]
    assert run_lua(code, str(trusted), signed("ES256", {}, x5c=x5c)) == (True, GOOD)
    by_url = signed("ES256", {}, x5u="https://certs/1")
    assert run_lua(code, str(trusted), by_url, pem(leaf)) == (True, GOOD)
    assert run_lua(code, str(trusted), by_url)[1].startswith("No function has been provided")
    other = signed("ES256", {}, x5u="https://certs/2")
    assert run_lua(code, str(trusted), other, pem(leaf))[1].startswith("An error occured")
    stranger = certify("stranger", "ES256", "stranger", "ES256", True)
    reason = run_lua(code, str(trusted), by_url, pem(stranger))[1]
    assert reason == "Cert used to sign the JWT isn't trusted: self-signed certificate"
    assert run_lua(code, str(trusted), signed("ES256", {}, x5c=["!"]))[1] == "Malformed x5c header"
    assert run_lua(code, str(trusted), signed("ES256", {}))[1] == "Unsupported RS256 key model"
