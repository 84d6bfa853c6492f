"""resty.http over TLS and through proxies: verification, client certificates, tunnels."""

import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer
from support.certificates import Authority, Certificate
from support.lua_console import LuaConsole
from support.upstream import Conversation, Script, Upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(conversation: Conversation) -> None:
    for _ in conversation.requests():
        conversation.send(OK)


def tell_the_client(conversation: Conversation) -> None:
    """Answer with the common name that the client's certificate shows."""
    for _ in conversation.requests():
        assert isinstance(conversation.socket, ssl.SSLSocket)
        shown: Any = conversation.socket.getpeercert()
        name = (
            dict(field for part in shown["subject"] for field in part)["commonName"]
            if shown
            else "-"
        )
        conversation.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}")


@pytest.fixture
def console(app_server: Callable[..., AppServer], authority: Authority) -> LuaConsole:
    """Runs Lua in a worker that trusts the authority."""
    return LuaConsole(app_server, lua_ssl_trusted_certificate=str(authority.path))


def code(port: int, rest: str) -> str:
    return f"""
        local http = require "resty.http"
        local uri = "https://127.0.0.1:{port}/"
        local function get(params)
            local httpc = http.new()
            httpc:set_timeout(5000)
            local res, err = httpc:request_uri(uri, params)
            return res and res.body or nil, err
        end
        {rest}
    """


def test_the_peer_is_verified_unless_told_otherwise(
    console: LuaConsole, tls_peer: Callable[..., Upstream]
) -> None:
    rest = """
        local _, wrong = get{ ssl_server_name = "other.test" }
        return get(), get{ ssl_server_name = "peer.test" }, wrong,
            get{ ssl_server_name = "other.test", ssl_verify = false }
    """
    answer = console.run(code(tls_peer(serve).port, rest))
    assert answer == ["ok", "ok", "certificate host mismatch", "ok"]


def test_connections_are_not_shared_between_ways_of_verifying(
    console: LuaConsole, tls_peer: Callable[..., Upstream]
) -> None:
    peer = tls_peer(serve)
    rest = """
        get{ ssl_verify = false }
        get{ ssl_verify = false }
        get{ ssl_server_name = "peer.test" }
        return get{ ssl_server_name = "other.test" }
    """
    assert console.run(code(peer.port, rest)) == [None, "certificate host mismatch"]
    assert peer.accepted == 3


def mutual(certificate: Certificate, authority: Authority) -> ssl.SSLContext:
    context = certificate.server_context()
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@pytest.mark.parametrize("way", ["path", "pem", "object"])
def test_a_client_certificate(
    console: LuaConsole,
    tls_peer: Callable[..., Upstream],
    authority: Authority,
    certificate: Certificate,
    way: str,
) -> None:
    mine = authority.issue("me.test")
    params = {
        "path": f'ssl_cert_path = "{mine.path}", ssl_key_path = "{mine.key_path}"',
        "pem": f"ssl_cert = [[{mine.pem}]], ssl_key = [[{mine.key_pem}]]",
        "object": f"""
            ssl_client_cert = assert(require("ngx.ssl").parse_pem_cert([[{mine.pem}]])),
            ssl_client_priv_key = assert(require("ngx.ssl").parse_pem_priv_key([[{mine.key_pem}]]))
        """,
    }[way]
    peer = tls_peer(tell_the_client, mutual(certificate, authority))
    assert console.run(code(peer.port, f"return get(), get{{ {params} }}")) == ["-", "me.test"]


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (
            'ssl_cert = "a", ssl_cert_path = "b"',
            "cannot specify both 'ssl_cert' and 'ssl_cert_path'",
        ),
        (
            'ssl_cert = "a", ssl_key = "a", ssl_key_path = "b"',
            "cannot specify both 'ssl_key' and 'ssl_key_path'",
        ),
        (
            'ssl_cert = "a"',
            "missing 'ssl_key_path' or 'ssl_key' when 'ssl_cert_path' or 'ssl_cert' is given",
        ),
        (
            'ssl_key_path = "a"',
            "missing 'ssl_cert_path' or 'ssl_cert' when 'ssl_key_path' or 'ssl_key' is given",
        ),
        (
            'ssl_cert_path = "/no/file", ssl_key_path = "/no/file"',
            "/no/file: No such file or directory",
        ),
    ],
)
def test_client_certificates_that_cannot_be_used(
    console: LuaConsole, tls_peer: Callable[..., Upstream], params: str, why: str
) -> None:
    answer = console.run(code(tls_peer(serve).port, f"return get{{ {params} }}"))
    assert answer == [None, why]


def test_the_older_way(console: LuaConsole, tls_peer: Callable[..., Upstream]) -> None:
    port = tls_peer(serve).port
    rest = f"""
        local httpc = http.new()
        assert(httpc:connect("127.0.0.1", {port}))
        assert(httpc:ssl_handshake(nil, "peer.test", true))
        return httpc:request{{ path = "/" }}:read_body()
    """
    assert console.run(code(port, rest)) == ["ok"]


class Proxy:
    """A forward proxy's script: keeps heads; pipes a CONNECT through to its target."""

    def __init__(self, refusal: bytes | None = None) -> None:
        self.heads: list[str] = []
        self.refusal = refusal

    def __call__(self, conversation: Conversation) -> None:
        for raw in conversation.requests():
            head = raw.decode()
            self.heads.append(head)
            if not head.startswith("CONNECT "):
                conversation.send(OK)
            elif self.refusal:
                conversation.send(self.refusal)
            else:
                self.pipe(conversation, int(head.split(" ")[1].rpartition(":")[2]))
                return

    def pipe(self, conversation: Conversation, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as far:
            conversation.send(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            near = conversation.socket
            while True:
                for ready in select.select([near, far], [], [], 5)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    (far if ready is near else near).sendall(data)


def test_plain_requests_through_a_proxy(
    console: LuaConsole, upstream: Callable[[Script], Upstream]
) -> None:
    proxy = Proxy()
    port = upstream(proxy).port
    rest = f"""
        local function ask(target, params)
            local httpc = http.new()
            httpc:set_proxy_options{{
                http_proxy = "http://127.0.0.1:{port}", http_proxy_authorization = "Basic abc",
                no_proxy = "direct.test, .own.test,127.0.0.1",
            }}
            local body = httpc:request_uri(target, params).body
            return body, httpc:get_proxy_uri("http", "a.own.test"),
                httpc:get_proxy_uri("http", "notown.test")
        end
        local headers = {{ ["Proxy-Authorization"] = "Basic xyz" }}
        ask("http://far.test:8080/b?c", {{ headers = headers }})
        return ask("http://far.test/a")
    """
    assert console.run(code(port, rest)) == ["ok", None, f"http://127.0.0.1:{port}"]
    assert proxy.heads[0].startswith("GET http://far.test:8080/b?c HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic xyz\r\n" in proxy.heads[0]
    assert proxy.heads[1].startswith("GET http://far.test/a HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic abc\r\n" in proxy.heads[1]


def test_tls_through_a_tunnel(
    console: LuaConsole,
    upstream: Callable[[Script], Upstream],
    tls_peer: Callable[..., Upstream],
) -> None:
    proxy, far = Proxy(), tls_peer(serve).port
    port = upstream(proxy).port
    options = f"""
        local proxy_opts = {{
            https_proxy = "http://127.0.0.1:{port}", https_proxy_authorization = "Basic abc" }}
        return get{{ proxy_opts = proxy_opts }}, get{{ proxy_opts = proxy_opts }}
    """
    assert console.run(code(far, options)) == ["ok", "ok"]
    assert len(proxy.heads) == 1  # the second request took the connection of the first
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{far} HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{far}\r\n" in proxy.heads[0]
    assert "Proxy-Authorization: Basic abc\r\n" in proxy.heads[0]


def test_proxies_that_do_not_help(
    console: LuaConsole, upstream: Callable[[Script], Upstream]
) -> None:
    port = upstream(Proxy(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")).port
    rest = f"""
        local _, refused = get{{ proxy_opts = {{ https_proxy = "http://127.0.0.1:{port}" }} }}
        local _, secure = get{{ proxy_opts = {{ https_proxy = "https://127.0.0.1:1" }} }}
        local _, bad = get{{ proxy_opts = {{ https_proxy = "nowhere" }} }}
        return refused, secure, bad
    """
    assert console.run(code(1, rest)) == [
        "failed to establish a tunnel through a proxy: 407",
        "protocol https not supported for proxy connections",
        "bad uri: nowhere",
    ]
