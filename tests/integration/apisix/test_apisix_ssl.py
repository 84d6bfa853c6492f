"""HTTPS by /ssls: the certificate for the name that a client asks for, and client certificates."""

from __future__ import annotations

import contextlib
import os
import socket as plain_socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml
from gevent import socket
from gevent.ssl import SSLContext
from support.certificates import Authority, Certificate

from pygw.config.choose import open_store
from pygw.config.settings import load
from pygw.gateway import Gateway as Worker
from pygw.vm.worker import Listener

from .conftest import PATIENCE, Gateway, Upstream

ROUTE = {"uri": "/*", "plugins": {}}


class TlsGateway(Gateway):
    """A gateway that listens with TLS alone."""

    authority: Authority

    def connect(
        self,
        name: str | None,
        certificate: Certificate | None = None,
        version: ssl.TLSVersion | None = None,
        earlier: Any = None,
    ) -> Any:
        """A connection that has asked for that name, and shows that certificate.

        earlier: one whose session it takes up.
        """
        context = earlier.context if earlier else self.context(certificate, version)
        session = earlier.session if earlier else None
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        try:
            return context.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise

    def context(
        self, certificate: Certificate | None, version: ssl.TLSVersion | None
    ) -> SSLContext:
        """A client's, with this certificate and version."""
        context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.authority.path)
        if certificate:
            context.load_cert_chain(certificate.path, certificate.key_path)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def names(self, name: str | None, **options: Any) -> set[str]:
        """The names in the certificate that is shown to who asks for that name."""
        with self.connect(name, **options) as connection:
            shown = connection.getpeercert()
        return {value for kind, value in shown["subjectAltName"] if kind == "DNS"}

    def status(self, name: str, host: str | None = None, path: str = "/", **options: Any) -> int:
        """The status of a request over such a connection."""
        with self.connect(name, **options) as connection:
            return self.exchange(connection, host or name, path)

    def exchange(self, connection: Any, host: str, path: str = "/") -> int:
        """The status of a request over this connection, which ends with it."""
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        with connection.makefile("rb") as stream:
            return int(stream.read().split()[1])

    def put_ssl(self, key: str, certificate: Certificate, **more: Any) -> None:
        """Write an item of /ssls."""
        pems = {"cert": certificate.pem, "key": certificate.key_pem}
        self.put(f"ssls/{key}", {**pems, **more})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def running(base: Path, authority: Authority, **settings_of_ssl: Any) -> Iterator[TlsGateway]:
    (base / "conf").mkdir()
    listens = [{"ip": "127.0.0.1", "port": 0}]
    config = {"plugins": [], "apisix": {
        "ssl": {"enable": True, "listen": listens, **settings_of_ssl},
        "data_encryption": {"enable_encrypt_fields": True, "keyring": ["qeddd145sfvddff3"]},
    }}  # fmt: skip
    (base / "conf" / "config.yaml").write_text(yaml.safe_dump(config))
    settings = load(base / "conf" / "config.yaml")
    with contextlib.ExitStack() as stack:
        store = open_store(settings)
        assert store
        stack.callback(store.close)
        log_fd = os.open(base / "error.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, log_fd)
        listener = plain_socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        stack.callback(listener.close)
        worker = Worker(settings, 0, [Listener(listener.fileno(), tls=True)], error_fd=log_fd)
        port = listener.getsockname()[1]
        gateway = TlsGateway(port, store, worker, base / "error.log")
        gateway.authority = authority
        worker.start()
        stack.callback(worker.run)
        stack.callback(worker.stop, False)
        yield gateway


@pytest.fixture
def gateway(tmp_path: Path, authority: Authority, upstream: Upstream) -> Iterator[TlsGateway]:
    with running(tmp_path, authority) as gateway:
        to = {"type": "roundrobin", "nodes": {upstream.node: 1}}
        gateway.put("routes/1", {**ROUTE, "upstream": to})
        yield gateway


def refused(gateway: TlsGateway, name: str | None, **options: Any) -> bool:
    """Whether the handshake, or what follows, fails."""
    try:
        with gateway.connect(name, **options) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return not connection.recv(1)
    except OSError:
        return True


def until_shown(gateway: TlsGateway, name: str, expected: set[str]) -> None:
    """Wait until the certificate for that name is the expected one."""

    def is_shown() -> bool:
        gevent.sleep(0.002)
        try:
            return gateway.names(name) == expected
        except OSError:
            return False

    gateway.until(is_shown)


def test_the_name_chooses_the_certificate(gateway: TlsGateway, authority: Authority) -> None:
    gateway.put_ssl("1", authority.issue("a.test"), sni="A.test")
    gateway.put_ssl("2", authority.issue("b.test", "c.test"), snis=["b.test", "c.test"])
    gateway.put_ssl("3", authority.issue("*.wild.test"), sni="*.wild.test")
    until_shown(gateway, "x.wild.test", {"*.wild.test"})
    assert gateway.names("a.test") == {"a.test"}
    assert gateway.names("c.test") == {"b.test", "c.test"}
    assert gateway.status("a.test") == 200


def test_a_wildcard_stands_for_one_label(gateway: TlsGateway, authority: Authority) -> None:
    gateway.put_ssl("1", authority.issue("*.wild.test"), sni="*.wild.test")
    until_shown(gateway, "x.wild.test", {"*.wild.test"})
    assert refused(gateway, "x.y.wild.test")
    assert refused(gateway, "wild.test")
    gateway.put_ssl("2", authority.issue("any.test"), sni="*")
    until_shown(gateway, "x.y.wild.test", {"any.test"})
    assert gateway.names("x.wild.test") == {"*.wild.test"}


def test_an_exact_name_wins(gateway: TlsGateway, authority: Authority) -> None:
    gateway.put_ssl("1", authority.issue("*.wild.test"), sni="*.wild.test")
    gateway.put_ssl("2", authority.issue("x.wild.test"), sni="x.wild.test")
    until_shown(gateway, "x.wild.test", {"x.wild.test"})


def test_without_a_certificate_the_handshake_fails(gateway: TlsGateway) -> None:
    assert refused(gateway, "none.test")
    assert "failed to match any SSL certificate by SNI: none.test" in gateway.log()
    assert refused(gateway, None)
    assert "failed to find SNI: the client asks for no name" in gateway.log()


def test_changes_count_at_once(gateway: TlsGateway, authority: Authority) -> None:
    gateway.put_ssl("1", authority.issue("one.test", "a.test"), sni="a.test")
    until_shown(gateway, "a.test", {"one.test", "a.test"})
    gateway.put_ssl("1", authority.issue("two.test", "a.test"), sni="a.test")
    until_shown(gateway, "a.test", {"two.test", "a.test"})
    gateway.put_ssl("1", authority.issue("a.test"), sni="a.test", status=0)
    gateway.until(lambda: refused(gateway, "a.test"))
    gateway.put_ssl("1", authority.issue("a.test"), sni="a.test", status=1)
    until_shown(gateway, "a.test", {"a.test"})
    gateway.delete("ssls/1")
    gateway.until(lambda: refused(gateway, "a.test"))


def test_versions_are_the_items(gateway: TlsGateway, authority: Authority) -> None:
    gateway.put_ssl("1", authority.issue("a.test"), sni="a.test", ssl_protocols=["TLSv1.2"])
    until_shown(gateway, "a.test", {"a.test"})
    assert refused(gateway, "a.test", version=ssl.TLSVersion.TLSv1_3)
    assert gateway.names("a.test", version=ssl.TLSVersion.TLSv1_2) == {"a.test"}


def test_a_name_for_those_who_ask_for_none(
    tmp_path: Path, authority: Authority, upstream: Upstream
) -> None:
    with running(tmp_path, authority, fallback_sni="a.test") as gateway:
        gateway.put_ssl("1", authority.issue("a.test"), sni="a.test")
        until_shown(gateway, "a.test", {"a.test"})
        assert gateway.names(None) == {"a.test"}


def test_the_certificate_of_the_configuration_is_for_the_rest(
    tmp_path: Path, authority: Authority, upstream: Upstream
) -> None:
    own = authority.issue("own.test")
    files = {"ssl_cert": str(own.path), "ssl_cert_key": str(own.key_path)}
    with running(tmp_path, authority, **files) as gateway:
        gateway.put_ssl("1", authority.issue("a.test"), sni="a.test")
        until_shown(gateway, "a.test", {"a.test"})
        assert gateway.names("b.test") == {"own.test"}
        assert gateway.names(None) == {"own.test"}


@pytest.fixture
def mutual(gateway: TlsGateway, authority: Authority) -> TlsGateway:
    """m.test asks for a certificate, o.test does not."""
    client = {"ca": authority.path.read_text()}
    gateway.put_ssl("1", authority.issue("o.test"), sni="o.test")
    gateway.put_ssl("2", authority.issue("m.test"), sni="m.test", client=client)
    until_shown(gateway, "o.test", {"o.test"})
    gateway.until(lambda: refused(gateway, "m.test"))
    return gateway


def test_a_client_certificate_may_be_asked_for(mutual: TlsGateway, authority: Authority) -> None:
    assert mutual.status("m.test", certificate=authority.issue("client.test")) == 200
    assert mutual.status("o.test") == 200


def test_a_client_certificate_of_another_authority_is_refused(
    mutual: TlsGateway, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "somebody else").issue("client.test")
    assert refused(mutual, "m.test", certificate=stranger)


def test_a_host_is_not_reached_by_another_name(mutual: TlsGateway, authority: Authority) -> None:
    assert mutual.status("o.test", host="m.test") == 400
    assert "client certificate was not present" in mutual.log()
    client = authority.issue("client.test")
    assert mutual.status("m.test", host="m.test", certificate=client) == 200
    assert mutual.status("m.test", host="o.test", certificate=client) == 200


def test_some_paths_may_need_none(gateway: TlsGateway, authority: Authority) -> None:
    client = {"ca": authority.path.read_text(), "skip_mtls_uri_regex": ["^/free"]}
    gateway.put_ssl("1", authority.issue("m.test"), sni="m.test", client=client)
    until_shown(gateway, "m.test", {"m.test"})
    assert gateway.status("m.test", path="/free/x") == 200
    assert gateway.status("m.test", path="/x") == 400
    assert gateway.status("m.test", path="/x", certificate=authority.issue("client.test")) == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_no_way_round(
    mutual: TlsGateway, authority: Authority, version: ssl.TLSVersion
) -> None:
    client = authority.issue("client.test")
    with mutual.connect("m.test", certificate=client, version=version) as first:
        assert mutual.exchange(first, "m.test") == 200
        assert first.session
        with mutual.connect("m.test", earlier=first) as again:
            assert mutual.exchange(again, "m.test") == 200
        with (
            contextlib.suppress(ssl.SSLError),  # nor so
            mutual.connect("o.test", earlier=first) as other,
        ):
            assert mutual.exchange(other, "m.test") == 400


def test_a_bad_item_is_told(gateway: TlsGateway, authority: Authority) -> None:
    gateway.put_ssl("1", authority.issue("a.test"), sni="a.test", cert="---no certificate---" * 20)
    gateway.until(lambda: "failed to parse cert: " in gateway.log())
    gateway.put_ssl("2", authority.issue("b.test"), sni="b.test")
    until_shown(gateway, "b.test", {"b.test"})
    assert "[/apisix/ssls/1]" in gateway.log()
