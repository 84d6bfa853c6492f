"""resty.openssl.x509 reads certificates as `cryptography` does, and makes ones that it takes."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from support import jose
from support.x509_chain import END, START, certify, der, pem

Run = Callable[..., Any]

PREPARE = """
    local openssl = require "resty.openssl"
    openssl.load_modules()
    local x509, pkey, name = openssl.x509, openssl.pkey, openssl.name
    local a, b, c = ...
"""


ROOT = certify("root", "RS256", "root", "RS256", True)
LEAF = certify("leaf", "ES256", "root", "RS256", False)


@pytest.mark.parametrize("source", [pem(LEAF), der(LEAF).decode("latin-1")])
def test_reading(run_lua: Run, source: str) -> None:
    found = run_lua(
        f"""{PREPARE}
        local found = assert(x509.new(a))
        local from, to = found:get_lifetime()
        return found:to_PEM(), found:tostring("DER"), found:get_pubkey():to_PEM(), from, to,
            tostring(found:get_serial_number()), found:get_version(), found:get_signature_name(),
            found:get_signature_digest_name(), found:get_ocsp_url()
        """,
        source,
    )
    assert found == (
        pem(LEAF),
        der(LEAF).decode("latin-1"),
        jose.public_pem(jose.key_for("ES256")),
        START.timestamp(),
        END.timestamp(),
        str(2**100 + 7),
        3,
        "RSA-SHA256",
        "SHA256",
        "http://ocsp/",
    )


def test_names(run_lua: Run) -> None:
    assert run_lua(
        f"""{PREPARE}
        local found = x509.new(a)
        local subject = found:get_subject_name()
        local entry, at = subject:find("CN")
        local _, _, err = subject:find("nope")
        return subject:tostring(), entry.blob, at, subject:find("CN", at), err,
            subject:all().O.blob, found:get_issuer_name():find("commonName").blob
        """,
        pem(LEAF),
    ) == (
        "CN=leaf/O=Ourselves",
        "leaf",
        1,
        None,
        "x509.name:find: invalid NID text nope",
        "Ourselves",
        "root",
    )


def test_extensions(run_lua: Run) -> None:
    assert run_lua(
        f"""{PREPARE}
        local leaf, root = x509.new(a), x509.new(b)
        local extension, at = leaf:get_extension("basicConstraints")
        local names = {{}}
        for kind, value in leaf:get_subject_alt_name():each() do
            names[#names + 1] = kind .. " " .. value
        end
        return tostring(extension), at, extension:get_critical(), extension:get_object().sn,
            leaf:get_extension_critical("subjectAltName"), leaf:get_extension("keyUsage"),
            root:get_basic_constraints("CA"), root:get_basic_constraints().pathlen,
            root:get_subject_alt_name(), table.concat(names, ", ")
        """,
        pem(LEAF),
        pem(ROOT),
    ) == (
        *("CA:FALSE", 1, True, "basicConstraints", False, None, True, 3, None),
        "DNS a.example, email me@example, URI https://a.example/, IP 10.0.0.1",
    )


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512"])
def test_digests(run_lua: Run, name: str) -> None:
    found = run_lua(f"{PREPARE} return x509.new(a):digest(b)", pem(LEAF), name)
    assert found.encode("latin-1") == hashlib.new(name, der(LEAF)).digest()


def test_whose_key_it_is(run_lua: Run) -> None:
    own, other = (jose.private_pem(jose.key_for(alg)) for alg in ("ES256", "RS256"))
    assert run_lua(
        f"""{PREPARE}
        local leaf, own, issuer = x509.new(a), pkey.new(b), pkey.new(c)
        local fits, err = leaf:check_private_key(issuer)
        local _, public = leaf:check_private_key(pkey.new(own:to_PEM()))
        return leaf:check_private_key(own), fits, err ~= nil, public, leaf:verify(issuer),
            (leaf:verify(own))
        """,
        pem(LEAF),
        own,
        other,
    ) == (True, False, True, "x509:check_private_key: not a private key", True, False)


def test_what_follows_from_a_store(run_lua: Run, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text(pem(ROOT))
    assert run_lua(
        f"""{PREPARE}
        local leaf, root = x509.new(a), x509.new(b)
        local empty, full, file = openssl.store.new(), openssl.store.new(), openssl.store.new()
        assert(full:add(root))
        assert(file:load_file(c))
        local _, why = empty:verify(leaf)
        local chain = assert(full:verify(leaf, nil, true))
        local with_chain = openssl.chain.new()
        with_chain:add(root)
        local _, untrusted = empty:verify(leaf, with_chain)
        local _, no_file = empty:load_file("/nonexistent")
        return why, full:verify(leaf), file:verify(leaf), #chain:all(),
            chain:index(2):get_subject_name():tostring(), chain:index(3), untrusted,
            no_file:sub(1, 20)
        """,
        pem(LEAF),
        pem(ROOT),
        str(tmp_path / "root.pem"),
    ) == (
        "unable to get local issuer certificate",
        *(True, True, 2, "CN=root/O=Ourselves", None),
        "self-signed certificate in certificate chain",
        "x509.store:load_file",
    )


def test_a_purpose_and_a_depth(run_lua: Run) -> None:
    assert run_lua(
        f"""{PREPARE}
        local store = openssl.store.new()
        local _, err = store:set_purpose("nope")
        local flags = store.verify_flags
        return store:set_purpose("sslserver"), store:set_depth(3), err,
            store:set_flags(flags.X509_V_FLAG_PARTIAL_CHAIN, flags.X509_V_FLAG_NO_CHECK_TIME)
        """
    ) == (True, True, 'invalid purpose "nope"', True)


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_a_certificate_of_ones_own(run_lua: Run, alg: str) -> None:
    made = run_lua(
        f"""{PREPARE}
        local key, made = pkey.new(a), x509.new()
        local subject = assert(name.new():add("CN", "me"):add("O", "We"))
        assert(made:set_version(3))
        assert(made:set_serial_number(openssl.bn.new("123456789012345678901234567890")))
        assert(made:set_subject_name(subject))
        assert(made:set_issuer_name(subject))
        assert(made:set_lifetime(b, b + 86400))
        assert(made:set_pubkey(key))
        assert(made:set_basic_constraints({{ca = true, pathlen = 2}}))
        assert(made:set_extension_critical("basicConstraints", true))
        local names = openssl.altname.new():add("DNS", "me.example"):add("ip", "::1")
        assert(made:set_subject_alt_name(names))
        assert(made:set_extension(assert(openssl.extension.new("keyUsage", "keyCertSign"))))
        assert(made:set_extension(assert(openssl.extension.new("keyUsage", "cRLSign"))))
        assert(made:sign(key, c and openssl.digest.new(c)))
        return made:to_PEM()
        """,
        jose.private_pem(jose.key_for(alg)),
        1_700_000_000,
        None if alg == "EdDSA" else "sha256",
    )
    read = x509.load_pem_x509_certificate(made.encode())
    assert read.subject == read.issuer
    assert read.subject.rfc4514_string() == "O=We,CN=me"
    assert read.serial_number == 123456789012345678901234567890
    assert read.not_valid_before_utc.timestamp() == 1_700_000_000
    assert read.not_valid_after_utc.timestamp() == 1_700_086_400
    constraints = read.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(True, 2)
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["me.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("::1")]
    usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.crl_sign
    assert not usage.key_cert_sign
    read.verify_directly_issued_by(read)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('x509.new("nonsense")', "x509.new: error:"),
        ("x509.new(1)", "x509.new: expect nil or a string at #1"),
        ('openssl.extension.new("nope", "x")', "x509.extension.new: objects.txtnid2nid: invalid"),
        ('openssl.extension.new("keyUsage", "nope")', "x509.extension.new: error:"),
        ('name.new():add("nope", "x")', "x509.name:add: invalid NID text nope"),
        ('openssl.altname.new():add("nope", "x")', "x509.altname:gn_set: unknown type nope"),
    ],
)
def test_says_what_is_wrong(run_lua: Run, call: str, error: str) -> None:
    found, why = run_lua(f"{PREPARE} return {call}")
    assert found is None
    assert why.startswith(error)
