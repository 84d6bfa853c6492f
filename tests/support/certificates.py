"""Certificates made when a test needs them: an authority, and what it signs."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = datetime.timedelta(days=1)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class Certificate:
    """A certificate and its key, as objects and as PEM files."""

    x509: x509.Certificate
    key: Key
    path: Path
    key_path: Path

    @property
    def pem(self) -> str:
        return self.path.read_text()

    @property
    def key_pem(self) -> str:
        return self.key_path.read_text()

    def server_context(self, kind: type[ssl.SSLContext] = ssl.SSLContext) -> ssl.SSLContext:
        """What a Python server that shows this certificate uses. kind: gevent has its own."""
        context = kind(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key_path)
        return context


class Authority:
    """Signs certificates; `path` is its own, for those who are to trust it."""

    def __init__(self, directory: Path, name: str = "test authority") -> None:
        self._directory = directory
        self._count = 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), _name(name), self.key)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        self.x509 = builder.sign(self.key, hashes.SHA256())
        self.path = self._write("authority.pem", self.x509)

    def issue(
        self,
        *names: str,
        common: str | None = None,
        key: Key | None = None,
        age: int = 1,
        ocsp: str = "",
    ) -> Certificate:
        """A certificate for `names` (host names and addresses).

        common: its common name, where that is not the first of them. age: how many days ago it
        became valid, for 30 days. ocsp: the responder's URL.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(common or names[0]), self.x509.subject, key, age)
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(alternatives, False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
        if ocsp:
            access = x509.AccessDescription(
                x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
        self._count += 1
        signed = builder.sign(self.key, hashes.SHA256())
        path = self._write(f"leaf-{self._count}.pem", signed)
        return Certificate(signed, key, path, self._write_key(f"leaf-{self._count}.key", key))

    def revoke(self, *revoked: Certificate) -> Path:
        """The file of a list of revoked certificates."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.x509.subject)
            .last_update(now - DAY)
            .next_update(now + DAY)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.x509.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(now - DAY).build())
        path = self._directory / "revoked.pem"
        signed = builder.sign(self.key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return path

    def client_context(self, *protocols: str) -> ssl.SSLContext:
        """What a Python client that trusts this authority uses. protocols: offered by ALPN."""
        context = ssl.create_default_context(cafile=self.path)
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: Key, age: int = 1
    ) -> x509.CertificateBuilder:
        start = datetime.datetime.now(datetime.timezone.utc) - age * DAY
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + 30 * DAY)
        )

    def _write(self, name: str, *certificates: x509.Certificate) -> Path:
        path = self._directory / name
        pems = [each.public_bytes(serialization.Encoding.PEM) for each in certificates]
        path.write_bytes(b"".join(pems))
        return path

    def _write_key(self, name: str, key: Key) -> Path:
        path = self._directory / name
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return path


def self_signed(directory: Path, *names: Sequence[str]) -> Certificate:
    """A certificate that no authority stands for."""
    authority = Authority(directory, str(names[0]))
    key_path = authority._write_key("self-signed.key", authority.key)
    return Certificate(authority.x509, authority.key, authority.path, key_path)
