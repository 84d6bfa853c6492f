"""An authority and certificates of it; peers that speak TLS; servers that do."""

import contextlib
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.app_server import PATIENCE, AppServer, running_app
from support.certificates import Authority, Certificate
from support.http import Client
from support.upstream import Conversation, Script, Upstream, running_upstream


def _tool(name: str) -> str:
    path = shutil.which(name)
    if not path:
        pytest.skip(f"no {name} here: install Debian's package {name}")
    return path


@pytest.fixture
def openssl() -> str:
    """The path of OpenSSL's command."""
    return _tool("openssl")


@pytest.fixture
def curl() -> str:
    return _tool("curl")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    """Of peer.test, *.wild.test and 127.0.0.1."""
    return authority.issue("peer.test", "*.wild.test", "127.0.0.1")


def over_tls(context: ssl.SSLContext, script: Script) -> Script:
    """A script that shakes hands first; `conversation.socket` is then an SSLSocket."""

    def run(conversation: Conversation) -> None:
        plain = conversation.socket
        with context.wrap_socket(plain, server_side=True) as wrapped:
            wrapped.settimeout(PATIENCE)
            conversation.socket = wrapped
            script(conversation)

    return run


@pytest.fixture
def tls_peer(certificate: Certificate) -> Iterator[Callable[..., Upstream]]:
    """Run a TLS server by a script: tls_peer(script, context=None)."""
    with contextlib.ExitStack() as stack:

        def start(script: Script, context: ssl.SSLContext | None = None) -> Upstream:
            context = context or certificate.server_context()
            return stack.enter_context(running_upstream(over_tls(context, script)))

        yield start


class TlsServer:
    """An application behind a TLS listener; `app` is its AppServer."""

    def __init__(self, app: AppServer, authority: Authority) -> None:
        self.app = app
        self.log = app.log
        self._authority = authority

    def connect(
        self,
        name: str | None = "peer.test",
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> Client:
        """Connect and shake hands; the client's `socket` is an SSLSocket. Raises ssl.SSLError."""
        plain = socket.create_connection(("127.0.0.1", self.app.port), PATIENCE)
        context = context or self._authority.client_context()
        if name is None:
            context.check_hostname = False
        try:
            wrapped = context.wrap_socket(plain, server_hostname=name, session=session)
        except OSError:
            plain.close()
            raise
        wrapped.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(wrapped)

    def ask(self, target: str = "/", **options: Any) -> Any:
        """The response to one request on a connection of its own; options as of connect()."""
        with self.connect(**options) as client:
            return client.ask(target)


@pytest.fixture
def tls_server(
    authority: Authority, certificate: Certificate
) -> Iterator[Callable[..., TlsServer]]:
    """Run an application behind TLS with `certificate`: tls_server(source, **settings)."""
    with contextlib.ExitStack() as stack:

        def start(source: str, **settings: Any) -> TlsServer:
            defaults = {
                "tls": [1],
                "ssl_certificate": str(certificate.path),
                "ssl_certificate_key": str(certificate.key_path),
            }
            app = stack.enter_context(running_app(source, **{**defaults, **settings}))
            return TlsServer(app, authority)

        yield start
