"""Certificates made by `cryptography`, with the keys of support.jose."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from support import jose

START = datetime.datetime(2020, 2, 29, 12, 30, 15, tzinfo=datetime.UTC)
END = datetime.datetime(2060, 1, 1, tzinfo=datetime.UTC)


def _named(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ourselves"),
        ]
    )


def certify(common: str, alg: str, issuer: str, issuer_alg: str, ca: bool) -> x509.Certificate:
    """The certificate of the key for `alg`, signed by that for `issuer_alg`."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(common))
        .issuer_name(_named(issuer))
        .public_key(jose.key_for(alg).public_key())
        .serial_number(2**100 + 7)
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca, 3 if ca else None), critical=True)
    )
    if not ca:
        names: list[x509.GeneralName] = [
            x509.DNSName("a.example"),
            x509.RFC822Name("me@example"),
            x509.UniformResourceIdentifier("https://a.example/"),
            x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
        ]
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp/")
        )
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder.sign(jose.key_for(issuer_alg), hashes.SHA256())


def pem(certificate: x509.Certificate) -> str:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def der(certificate: x509.Certificate) -> bytes:
    """The certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)
