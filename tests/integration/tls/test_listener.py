"""Requests over TLS: the handshake, its failures, long bodies, sessions, client certificates."""

import contextlib
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import PATIENCE
from support.certificates import Authority, Certificate
from support.http import Client

HELLO = 'return { content = function() ngx.print("hello") end }'
ECHO = """return { content = function()
    ngx.req.read_body()
    ngx.print(ngx.req.get_body_data())
end }"""


def test_requests_follow_each_other_on_a_connection(tls_server: Callable[..., Any]) -> None:
    server = tls_server(HELLO)
    with server.connect() as client:
        for _ in range(3):
            assert client.ask().text == "hello"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(
    tls_server: Callable[..., Any], authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    assert tls_server(HELLO).ask(context=context).text == "hello"


def test_old_versions_are_refused(tls_server: Callable[..., Any], authority: Authority) -> None:
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = tls_server(HELLO, ssl_protocols="TLSv1.3")
    with pytest.raises(ssl.SSLError):
        server.connect(context=context)


def test_large_bodies_pass_both_ways(tls_server: Callable[..., Any]) -> None:
    body = bytes(range(256)) * 20000
    server = tls_server(ECHO, client_body_buffer_size=len(body))
    with server.connect() as client:
        assert client.ask(method="POST", body=body).body == body
        assert client.ask(method="POST", body=b"x").body == b"x"


def test_a_slow_reader_gets_all(tls_server: Callable[..., Any]) -> None:
    size = 4 << 20
    server = tls_server(
        f"return {{ content = function() ngx.print(('x'):rep({size // 2})) "
        f"ngx.print(('y'):rep({size // 2})) end }}"
    )
    with server.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
        body = client.ask().body
        assert body == b"x" * (size // 2) + b"y" * (size // 2)


def test_plain_http_is_told_so(tls_server: Callable[..., Any]) -> None:
    server = tls_server(HELLO)
    response = server.app.ask()
    assert response.status == 400
    assert "The plain HTTP request was sent to HTTPS port" in response.text


def test_alpn_chooses_http_1(tls_server: Callable[..., Any], authority: Authority) -> None:
    server = tls_server(HELLO)
    with server.connect(context=authority.client_context("h2", "http/1.1")) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(ssl.SSLError):
        server.connect(context=authority.client_context("h2"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_resumes_a_session(
    tls_server: Callable[..., Any], authority: Authority, version: ssl.TLSVersion
) -> None:
    server = tls_server(HELLO)
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    with server.connect(context=context) as client:
        client.ask()
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session
    with server.connect(context=context, session=session) as client:
        assert client.ask().text == "hello"
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.session_reused


@pytest.mark.parametrize("cache", ["builtin", "shared:SSL:1m"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_cached_session_is_resumed(
    tls_server: Callable[..., Any], authority: Authority, version: ssl.TLSVersion, cache: str
) -> None:
    server = tls_server(HELLO, ssl_session_cache=cache, ssl_session_tickets=False)
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    with server.connect(context=context) as client:
        client.ask()
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session
    with server.connect(context=context, session=session) as client:
        assert client.ask().text == "hello"
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.session_reused


def test_without_a_cache_and_tickets_no_session_is_resumed(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(HELLO, ssl_session_tickets=False)
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with server.connect(context=context) as client:
        client.ask()
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session
    with server.connect(context=context, session=session) as client:
        assert client.ask().text == "hello"
        assert isinstance(client.socket, ssl.SSLSocket)
        assert not client.socket.session_reused


def test_a_malformed_cache_stops_the_start(tls_server: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match='invalid session cache "shared:x"'):
        tls_server(HELLO, ssl_session_cache="shared:x")


def test_a_client_that_says_nothing_is_dropped(tls_server: Callable[..., Any]) -> None:
    server = tls_server(HELLO, client_header_timeout=0.05)
    plain = socket.create_connection(("127.0.0.1", server.app.port), PATIENCE)
    with Client(plain) as client:
        assert client.closed()


def test_half_a_handshake_times_out(tls_server: Callable[..., Any]) -> None:
    server = tls_server(HELLO, client_header_timeout=0.05)
    plain = socket.create_connection(("127.0.0.1", server.app.port), PATIENCE)
    with Client(plain) as client:
        client.send(b"\x16\x03\x01")
        assert client.closed()


def test_garbage_ends_the_connection(tls_server: Callable[..., Any]) -> None:
    server = tls_server(HELLO)
    plain = socket.create_connection(("127.0.0.1", server.app.port), PATIENCE)
    with Client(plain) as client:
        client.send(b"\x16\x03\x01\x00\x05hello")
        client.read_all()
    assert server.ask().text == "hello"


def test_the_end_is_announced(tls_server: Callable[..., Any]) -> None:
    server = tls_server(HELLO)
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.response()
        assert client.socket.recv(1) == b""  # an end without close_notify is an error here


def with_client_certificate(authority: Authority, shown: Certificate) -> ssl.SSLContext:
    context = authority.client_context()
    context.load_cert_chain(shown.path, shown.key_path)
    return context


@pytest.mark.parametrize(
    ("mode", "none", "ours", "foreign"),
    [
        ("on", 400, 200, 400),
        ("optional", 200, 200, 400),
        ("optional_no_ca", 200, 200, 200),
        ("off", 200, 200, 200),
    ],
)
def test_client_certificates(
    tls_server: Callable[..., Any],
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    mode: str,
    none: int,
    ours: int,
    foreign: int,
) -> None:
    server = tls_server(HELLO, ssl_verify_client=mode, ssl_client_certificate=str(authority.path))
    stranger = Authority(tmp_path_factory.mktemp("other"), "another").issue("client.test")
    shown = authority.issue("client.test")
    assert server.ask().status == none
    assert server.ask(context=with_client_certificate(authority, shown)).status == ours
    assert server.ask(context=with_client_certificate(authority, stranger)).status == foreign


def test_openssl_s_client_and_curl(
    tls_server: Callable[..., Any], authority: Authority, openssl: str, curl: str
) -> None:
    server = tls_server(HELLO)
    port = server.app.port
    done = subprocess.run(
        [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(authority.path)]
        + ["-servername", "peer.test", "-verify_return_error", "-quiet"],
        input=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert b"hello" in done.stdout
    done = subprocess.run(
        [curl, "-s", "--cacert", str(authority.path), f"https://127.0.0.1:{port}/"],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == b"hello"


def test_nothing_is_left_of_many_connections(tls_server: Callable[..., Any]) -> None:
    server = tls_server(HELLO)
    for _ in range(50):
        server.ask()
    server.app.settle()
    before, descriptors = server.app.rss(), server.app.descriptors()
    for _ in range(300):
        server.ask()
    server.app.settle()
    assert server.app.descriptors() <= descriptors
    assert server.app.rss() - before < 4 << 20


def test_a_missing_certificate_stops_the_start(tls_server: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match='no "ssl_certificate" is defined'):
        tls_server(HELLO, ssl_certificate=False)
    with pytest.raises(AssertionError, match='cannot load certificate "/none.pem"'):
        tls_server(HELLO, ssl_certificate="/none.pem")


def test_a_client_that_has_said_all_still_gets_its_answer(
    tls_server: Callable[..., Any],
) -> None:
    server = tls_server(
        "return { content = function() ngx.sleep(0.05) ngx.print(('x'):rep(100000)) end }"
    )
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert isinstance(client.socket, ssl.SSLSocket)
        client.socket.settimeout(0)
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            client.socket.unwrap()  # our close_notify goes out; the peer's has not come
        client.socket.settimeout(PATIENCE)
        assert len(client.socket.recv(1000)) > 0


def test_a_client_that_resets_ends_its_connection_alone(tls_server: Callable[..., Any]) -> None:
    server = tls_server("return { content = function() ngx.print(('x'):rep(50000000)) end }")
    client = server.connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.read_until(b"x")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    server.app.settle()
    with server.connect() as other:
        other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other.head().status == 200


def test_renegotiation_is_refused(tls_server: Callable[..., Any], openssl: str) -> None:
    server = tls_server(HELLO)
    done = subprocess.run(
        [openssl, "s_client", "-connect", f"127.0.0.1:{server.app.port}", "-tls1_2"],
        input=b"R\n",
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert b"RENEGOTIATING" in done.stderr
    assert b"no renegotiation" in done.stderr
    assert server.ask().text == "hello"
