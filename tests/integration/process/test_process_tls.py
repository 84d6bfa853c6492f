"""HTTPS of a whole gateway: a listener of its own, sessions that any worker resumes."""

from __future__ import annotations

import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority

PATIENCE = 30.0

CONFIG = """
    nginx_config: {{worker_processes: 4, error_log_level: notice}}
    apisix:
      ssl:
        enable: true
        listen: [{{ip: 127.0.0.1, port: 0}}]
        ssl_cert: {cert}
        ssl_cert_key: {key}
        ssl_session_tickets: {tickets}
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class Client:
    """Asks a gateway over TLS, by a new connection each time."""

    def __init__(self, authority: Authority, port: int, version: ssl.TLSVersion) -> None:
        self.port = port
        self.context = authority.client_context()
        self.context.minimum_version = self.context.maximum_version = version
        self.session: ssl.SSLSession | None = None

    def ask(self) -> tuple[int, bool]:
        """The pid of the worker that answered, and whether it knew the session."""
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        with self.context.wrap_socket(
            plain, server_hostname="gateway.test", session=self.session
        ) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
            self.session = connection.session
            return int(data.rpartition(b"\r\n\r\n")[2]), bool(connection.session_reused)


@pytest.mark.parametrize("tickets", ["true", "false"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_any_worker_resumes_a_session(
    start: Any, authority: Authority, version: ssl.TLSVersion, tickets: str
) -> None:
    certificate = authority.issue("gateway.test")
    gateway = start(CONFIG.format(cert=certificate.path, key=certificate.key_path, tickets=tickets))
    started = gateway.out.wait_for(r"listening on 127.0.0.1:(\d+), over TLS on 127.0.0.1:(\d+),")
    gateway.port = int(started[1])
    client = Client(authority, int(started[2]), version)
    client.ask()
    answers = [client.ask() for _ in range(20)]
    assert len({pid for pid, _ in answers}) > 1
    assert all(resumed for _, resumed in answers)
    assert gateway.get() in gateway.children()  # plain HTTP goes on beside it
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for("reloaded: ")
    assert client.ask()[1]


def test_https_without_a_certificate_does_not_start(start: Any) -> None:
    gateway = start("apisix: {ssl: {enable: true, listen: [{ip: 127.0.0.1, port: 0}]}}")
    assert gateway.ended() == 1
    assert 'no "ssl_certificate" is defined' in gateway.log.everything()
