"""apisix.ssl: private keys in their stored form, and the checks of certificates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from support.certificates import Authority, Certificate

Run = Callable[..., Any]

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

SSL = """
    require("server.bridge").call.local_conf = function()
        return '{"apisix":{"data_encryption":{"keyring":["qeddd145sfvddff3"]}}}'
    end
    local ssl = require("apisix.ssl")
"""


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Authority(tmp_path).issue("one.test", key=KEY)


def test_a_key_is_stored_encrypted_once(run_lua: Run, certificate: Certificate) -> None:
    code = (
        SSL
        + """
        local key = ...
        local stored = ssl.aes_encrypt_pkey(key)
        return stored ~= key, ssl.aes_encrypt_pkey(stored) == stored,
            ssl.aes_decrypt_pkey(stored) == key, ssl.aes_decrypt_pkey(key) == key,
            ssl.aes_encrypt_pkey("$secret://vault/1/a/b")
    """
    )
    found = run_lua(code, certificate.key_pem)
    assert found == (True, True, True, True, "$secret://vault/1/a/b")


def test_validation(run_lua: Run, certificate: Certificate) -> None:
    code = (
        SSL
        + """
        local cert, key = ...
        local function why(...) return (select(2, ssl.validate(...))) end
        local stored = ssl.aes_encrypt_pkey(key)
        return ssl.validate(cert), ssl.validate(cert, key), ssl.validate(cert, stored),
            why("nonsense"), why(cert, "---nonsense"), why(cert, "bm90IGVuY3J5cHRlZA==")
    """
    )
    *good, no_cert, no_key, no_cipher = run_lua(code, certificate.pem, certificate.key_pem)
    assert good == [True, True, True]
    assert no_cert.startswith("failed to parse cert: ")
    assert no_key.startswith("failed to parse key: ")
    assert no_cipher == "failed to decrypt previous encrypted key"


def test_what_was_parsed_is_kept(run_lua: Run, certificate: Certificate) -> None:
    code = (
        SSL
        + """
        local cert, key = ...
        local stored = ssl.aes_encrypt_pkey(key)
        local chain, pkey = ssl.fetch_cert("x", cert), ssl.fetch_pkey("x", stored)
        local none, err = ssl.fetch_cert("x", "nonsense")
        return chain ~= nil and chain == ssl.fetch_cert("y", cert),
            pkey ~= nil and pkey == ssl.fetch_pkey("y", stored), none, err ~= nil
    """
    )
    assert run_lua(code, certificate.pem, certificate.key_pem) == (True, True, False, True)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("", None),
        ("conf.type = 'client'", None),
        ("conf.cert, conf.key = '$secret://vault/1/a/b', '$secret://vault/1/a/c'", None),
        ("conf.certs, conf.keys = { conf.cert }, { conf.key }", None),
        ("conf.client = { ca = conf.cert }", None),
        ("conf.sni = nil", "invalid configuration: "),
        ("conf.certs = { conf.cert }", "mismatched number of certs and keys"),
        (
            "conf.certs, conf.keys = { conf.cert }, { ('x'):rep(128) }",
            "failed to handle cert-key pair[1]: failed to decrypt previous encrypted key",
        ),
        ("conf.client = { ca = ('x'):rep(128) }", "failed to validate client_cert: "),
    ],
)
def test_the_check_of_an_item(
    run_lua: Run, certificate: Certificate, change: str, fault: str | None
) -> None:
    code = (
        SSL
        + f"""
        local conf = {{ sni = "one.test", cert = select(1, ...), key = select(2, ...) }}
        {change}
        return ssl.check_ssl_conf(false, conf)
    """
    )
    code = code.replace("select(1, ...)", "cert").replace("select(2, ...)", "key")
    found = run_lua("local cert, key = ... " + code, certificate.pem, certificate.key_pem)
    if fault is None:
        assert found is True
    else:
        assert found[0] is None
        assert found[1].startswith(fault)
