"""Proxying to upstreams over TLS: names, verification, client certificates, reuse, failures."""

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.app_server import AppServer
from support.certificates import Authority, Certificate
from support.nginx import find_nginx
from support.upstream import Conversation, Upstream, answer_with

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def app(port: int, proxy: str = "", more: str = "") -> str:
    return f"""
    local balancer = require "ngx.balancer"
    return {{
        balancer = function() assert(balancer.set_current_peer("127.0.0.1", {port})) end,
        proxy = {{ scheme = "https", {proxy} }},
        {more}
    }}"""


def serve(conversation: Conversation) -> None:
    for _ in conversation.requests():
        conversation.send(OK)


@pytest.fixture
def start(
    app_server: Callable[..., AppServer], tls_peer: Callable[..., Upstream]
) -> Callable[..., tuple[AppServer, Upstream]]:
    """Run a proxy before a TLS upstream: start(proxy, script=serve, context=None, more="")."""

    def run(
        proxy: str = "",
        script: Callable[[Conversation], None] = serve,
        context: ssl.SSLContext | None = None,
        more: str = "",
    ) -> tuple[AppServer, Upstream]:
        peer = tls_peer(script, context)
        return app_server(app(peer.port, proxy, more)), peer

    return run


def test_a_response_comes_from_a_tls_upstream(start: Callable[..., Any]) -> None:
    server, peer = start()
    assert server.ask().text == "hello"
    assert not peer.errors


def test_connections_are_reused(start: Callable[..., Any]) -> None:
    server, peer = start()
    for _ in range(5):
        assert server.ask().text == "hello"
    assert peer.accepted == 1


def test_bodies_pass_both_ways(start: Callable[..., Any]) -> None:
    body = bytes(range(256)) * 4000

    def echo(conversation: Conversation) -> None:
        conversation.request()
        received = conversation.read_exactly(len(body))
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + received)

    server, _ = start(script=echo)
    assert server.ask(method="POST", body=body).body == body


def test_a_body_until_the_end_of_the_connection(start: Callable[..., Any]) -> None:
    server, _ = start(script=answer_with(b"HTTP/1.1 200 OK\r\n\r\nto the end"))
    assert server.ask().text == "to the end"


def test_the_name_is_sent_when_wanted(start: Callable[..., Any], certificate: Certificate) -> None:
    seen: list[str | None] = []
    context = certificate.server_context()
    context.sni_callback = lambda connection, name, context: seen.append(name)
    server, _ = start('ssl_server_name = true, ssl_name = "$arg_name"', context=context)
    server.ask("/?name=peer.test")
    server.ask("/?name=a.wild.test")
    server, _ = start('ssl_name = "peer.test"', context=context)
    server.ask()
    server, _ = start('ssl_server_name = true, ssl_name = "127.0.0.1"', context=context)
    server.ask()
    assert seen == ["peer.test", "a.wild.test", None, None]


def test_a_connection_is_for_one_name(start: Callable[..., Any], certificate: Certificate) -> None:
    server, peer = start('ssl_server_name = true, ssl_name = "$arg_name"')
    for name in ("a.wild.test", "b.wild.test", "a.wild.test", "b.wild.test"):
        server.ask(f"/?name={name}")
    assert peer.accepted == 2


def test_the_peer_is_verified(start: Callable[..., Any], authority: Authority) -> None:
    trust = f'ssl_verify = true, ssl_trusted_certificate = "{authority.path}", '
    server, _ = start(trust + 'ssl_name = "peer.test"')
    assert server.ask().text == "hello"
    server, _ = start(trust + 'ssl_name = "other.test"')
    assert server.ask().status == 502
    server.log.wait_for(
        'upstream SSL certificate does not match "other.test" while SSL handshaking to upstream'
    )


def test_an_unknown_authority_is_refused(
    start: Callable[..., Any], certificate: Certificate
) -> None:
    server, peer = start(
        f'ssl_verify = true, ssl_trusted_certificate = "{certificate.path}", ssl_name = "peer.test"'
    )
    assert server.ask().status == 502
    assert server.ask().status == 502
    server.log.wait_for(
        "upstream SSL certificate verify error: (20:unable to get local issuer certificate) "
        "while SSL handshaking to upstream",
        2,
    )
    server.settle()
    assert peer.accepted == 2


def with_clients(authority: Authority, certificate: Certificate) -> ssl.SSLContext:
    context = certificate.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a refusal ends the handshake itself
    return context


def test_a_client_certificate_is_shown(
    start: Callable[..., Any], authority: Authority, certificate: Certificate
) -> None:
    context, shown = with_clients(authority, certificate), authority.issue("client.test")
    server, _ = start(
        f'ssl_certificate = "{shown.path}", ssl_certificate_key = "{shown.key_path}"',
        context=context,
    )
    assert server.ask().text == "hello"
    server, _ = start(context=context)
    assert server.ask().status == 502
    server.log.wait_for("SSL_do_handshake() failed (SSL: ")


def test_a_client_certificate_is_chosen_by_a_phase(
    start: Callable[..., Any], authority: Authority, certificate: Certificate
) -> None:
    context, shown = with_clients(authority, certificate), authority.issue("client.test")
    more = f"""
        access = function() ngx.ctx.seen = "access" end,
        proxy_ssl_certificate = function()
            local ssl, proxy = require "ngx.ssl", require "ngx.ssl.proxysslcert"
            ngx.sleep(0.001)
            assert(ngx.ctx.seen == "access" and ngx.get_phase() == "proxy_ssl_cert")
            assert(proxy.clear_certs())
            assert(proxy.set_cert(ssl.parse_pem_cert([[{shown.pem}]])))
            assert(proxy.set_priv_key(ssl.parse_pem_priv_key([[{shown.key_pem}]])))
            if ngx.var.arg_fail then ngx.exit(ngx.ERROR) end
        end,"""
    server, peer = start(context=context, more=more)
    assert server.ask().text == "hello"
    assert peer.accepted == 1
    server, _ = start(context=context, more=more)
    assert server.ask("/?fail=1").status == 502
    server, _ = start(context=context, more="proxy_ssl_certificate = function() error('no') end")
    assert server.ask().status == 502
    server.log.wait_for("lua entry thread aborted: runtime error: ")


def test_a_phase_judges_the_peer(start: Callable[..., Any], authority: Authority) -> None:
    more = """
        proxy_ssl_verify = function()
            local verify, proxyssl = require "ngx.ssl.proxysslverify", require "ngx.proxyssl"
            assert(verify.get_verify_cert())
            ngx.log(ngx.ERR, "result ", verify.get_verify_result(), " ",
                proxyssl.get_tls1_version_str())
            verify.set_verify_result(ngx.var.arg_bad and 28 or 0)
        end,"""
    check = f'ssl_verify = true, ssl_trusted_certificate = "{authority.path}", '
    server, _ = start(check + 'ssl_name = "peer.test"', more=more)
    assert server.ask().text == "hello"
    server.log.wait_for("result 0 TLSv1.3")
    server, _ = start(check + 'ssl_name = "peer.test"', more=more)
    assert server.ask("/?bad=1").status == 502
    server.log.wait_for("upstream SSL certificate verify error: (28:")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("reuse", [True, False])
def test_sessions_are_reused(
    start: Callable[..., Any], certificate: Certificate, version: ssl.TLSVersion, reuse: bool
) -> None:
    context = certificate.server_context()
    context.minimum_version = context.maximum_version = version
    seen = []

    def once(conversation: Conversation) -> None:
        assert isinstance(conversation.socket, ssl.SSLSocket)
        seen.append(conversation.socket.session_reused)
        answer_with(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")(
            conversation
        )

    server, _ = start(f"ssl_session_reuse = {str(reuse).lower()}", script=once, context=context)
    for _ in range(3):
        assert server.ask().status == 200
    assert seen == [False, reuse, reuse]


def test_a_peer_without_tls_fails(
    app_server: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    server = app_server(app(upstream(lambda conversation: conversation.send(OK)).port))
    assert server.ask().status == 502
    server.log.wait_for(" while SSL handshaking to upstream, client: ")


def test_a_silent_peer_times_out(
    app_server: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    server = app_server(
        app(upstream(lambda conversation: conversation.read_all()).port),
        proxy_connect_timeout=0.05,
    )
    assert server.ask().status == 504


def test_a_failed_handshake_leads_to_the_next_peer(
    app_server: Callable[..., AppServer],
    upstream: Callable[..., Upstream],
    tls_peer: Callable[..., Upstream],
) -> None:
    bad = upstream(lambda conversation: conversation.send(OK)).port
    good = tls_peer(serve).port
    server = app_server(f"""
    local balancer = require "ngx.balancer"
    return {{
        balancer = function()
            local again = balancer.get_last_failure()
            balancer.set_more_tries(1)
            assert(balancer.set_current_peer("127.0.0.1", again and {good} or {bad}))
        end,
        proxy = {{ scheme = "https" }},
    }}""")
    assert server.ask().text == "hello"


NGINX = """
daemon off; worker_processes 1; pid {prefix}/pid; error_log stderr; events {{}}
http {{
    access_log off;
    client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/f; uwsgi_temp_path {prefix}/u; scgi_temp_path {prefix}/s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate.path}; ssl_certificate_key {certificate.key_path};
        ssl_protocols TLSv1.2 TLSv1.3; ssl_verify_client on;
        ssl_client_certificate {authority.path};
        location / {{
            return 200 "$ssl_server_name $ssl_client_s_dn $ssl_session_reused $connection_requests";
        }}
    }}
}}"""


@pytest.fixture
def nginx(tmp_path: Path, authority: Authority, certificate: Certificate) -> Iterator[int]:
    """The port of an nginx over TLS that wants a client certificate and tells what it sees."""
    command = find_nginx()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = tmp_path / "nginx.conf"
        config.write_text(
            NGINX.format(prefix=tmp_path, port=port, certificate=certificate, authority=authority)
        )
        process = subprocess.Popen(
            [command, "-p", str(tmp_path), "-e", "stderr", "-c", str(config)],
            pass_fds=[listener.fileno()],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
        )
        yield port
        process.terminate()
        process.wait()


def test_nginx_is_an_upstream(
    app_server: Callable[..., AppServer], nginx: int, authority: Authority
) -> None:
    shown = authority.issue("client.test")
    server = app_server(
        app(
            nginx,
            f'ssl_verify = true, ssl_trusted_certificate = "{authority.path}", '
            f'ssl_certificate = "{shown.path}", ssl_certificate_key = "{shown.key_path}", '
            'ssl_server_name = true, ssl_name = "peer.test"',
        )
    )
    assert server.ask().text == "peer.test CN=client.test . 1"
    assert server.ask().text == "peer.test CN=client.test . 2"


def test_a_client_that_goes_away_ends_the_handshake(
    app_server: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    ended: list[bytes] = []
    peer = upstream(lambda conversation: ended.append(conversation.read_all()))
    server = app_server(app(peer.port))
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not peer.accepted:
            pass
    server.settle()


def test_nothing_is_left_of_many_connections(start: Callable[..., Any]) -> None:
    server, _ = start(
        script=answer_with(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    )
    for _ in range(50):
        server.ask()
    server.settle()
    before, descriptors = server.rss(), server.descriptors()
    for _ in range(200):
        server.ask()
    server.settle()
    assert server.descriptors() <= descriptors
    assert server.rss() - before < 3 << 20


def test_an_alert_after_the_handshake_is_a_failure(
    start: Callable[..., Any], authority: Authority, certificate: Certificate
) -> None:
    context = with_clients(authority, certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    server, _ = start(context=context)
    assert server.ask().status == 502
    assert server.ask().status == 502
