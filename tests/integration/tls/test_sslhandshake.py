"""TLS on cosockets, against Python's ssl: what the handshake returns, verifies and refuses."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.app_server import AppServer
from support.certificates import Authority, Certificate, self_signed
from support.upstream import Conversation, Upstream

APP = """
local PORT = %d
local function show(...)
    local parts = {}
    for i = 1, select("#", ...) do
        local value = select(i, ...)
        parts[i] = type(value) == "cdata" and "cdata" or tostring(value)
    end
    ngx.say(table.concat(parts, "|"))
end
local function connect(milliseconds)
    local sock = ngx.socket.tcp()
    sock:settimeout(milliseconds or 10000)
    assert(sock:connect("127.0.0.1", PORT))
    return sock
end
local session
return { content = function()
    local s
    %s
end }
"""

Run = Callable[..., list[str]]


@pytest.fixture
def run(app_server: Callable[..., AppServer], tls_peer: Callable[..., Upstream]) -> Run:
    """Run Lua code beside a peer that echoes lines; returns the lines of show()."""

    def start(code: str, context: ssl.SSLContext | None = None, **settings: Any) -> list[str]:
        port = tls_peer(echo, context).port
        server = app_server(APP % (port, code), **settings)
        response = server.ask()
        assert response.status == 200, server.log.text
        return response.text.splitlines()

    return start


def echo(conversation: Conversation) -> None:
    """Say back each line; "size N" is answered with N bytes; "end" ends the connection."""
    while conversation.held or conversation._more():
        line = conversation.read_until(b"\n")
        if line.startswith(b"size "):
            conversation.send(b"x" * int(line[5:]))
        elif line == b"end\n":
            return
        else:
            conversation.send(line)


def test_bytes_pass_after_the_handshake(run: Run) -> None:
    lines = run(
        "s = connect() show(s:sslhandshake()) show(s:send('hello\\n')) show(s:receive()) "
        "show(s:close())"
    )
    assert lines == ["cdata", "6", "hello", "1"]


def test_no_session_is_returned_when_none_is_wanted(run: Run) -> None:
    assert run("s = connect() show(s:sslhandshake(false))") == ["true"]


def test_a_second_handshake_returns_at_once(run: Run) -> None:
    code = (
        "s = connect() local a = s:sslhandshake() show(s:sslhandshake(a) == a) "
        "show(s:sslhandshake(false)) show(s:sslhandshake())"
    )
    assert run(code) == ["true", "true", "cdata"]


def test_an_unknown_authority_is_named_by_number(run: Run) -> None:
    lines = run("s = connect() show(s:sslhandshake(nil, 'peer.test', true)) show(s:send('x'))")
    assert lines == ["nil|20: unable to get local issuer certificate", "nil|closed"]


def test_a_self_signed_certificate_is_refused(run: Run, tmp_path: Path) -> None:
    context = self_signed(tmp_path, "alone.test").server_context()
    lines = run("s = connect() show(s:sslhandshake(nil, 'alone.test', true))", context)
    assert lines == ["nil|18: self-signed certificate"]


def test_a_trusted_peer_with_that_name_is_taken(run: Run, authority: Authority) -> None:
    code = "s = connect() show(s:sslhandshake(nil, %r, true))"
    trusting = {"lua_ssl_trusted_certificate": str(authority.path)}
    for name in ("peer.test", "a.wild.test", "127.0.0.1"):
        assert run(code % name, **trusting) == ["cdata"]


def test_another_name_is_a_mismatch(run: Run, authority: Authority) -> None:
    lines = run(
        "s = connect() show(s:sslhandshake(nil, 'other.test', true)) show(s:receive())",
        lua_ssl_trusted_certificate=str(authority.path),
    )
    assert lines == ["nil|certificate host mismatch", "nil|closed"]


def test_a_trusted_peer_needs_no_name(run: Run, authority: Authority) -> None:
    trusting = {"lua_ssl_trusted_certificate": str(authority.path)}
    assert run("s = connect() show(s:sslhandshake(nil, nil, true))", **trusting) == ["cdata"]


def test_a_revoked_certificate_is_refused(run: Run, authority: Authority) -> None:
    revoked = authority.issue("revoked.test")
    settings = {
        "lua_ssl_trusted_certificate": str(authority.path),
        "lua_ssl_crl": str(authority.revoke(revoked)),
    }
    code = "s = connect() show(s:sslhandshake(nil, nil, true))"
    assert run(code, revoked.server_context(), **settings) == ["nil|23: certificate revoked"]
    assert run(code, **settings) == ["cdata"]


def test_an_expired_certificate_is_refused(run: Run, authority: Authority) -> None:
    context = authority.issue("old.test", age=100).server_context()
    lines = run(
        "s = connect() show(s:sslhandshake(nil, nil, true))",
        context,
        lua_ssl_trusted_certificate=str(authority.path),
    )
    assert lines == ["nil|10: certificate has expired"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_used_again(
    run: Run, certificate: Certificate, version: ssl.TLSVersion
) -> None:
    context = certificate.server_context()
    context.minimum_version = context.maximum_version = version
    lines = run(
        "s = connect() s:sslhandshake() s:send('a\\n') s:receive() "
        "local session = s:getsslsession() s:close() s = connect() show(s:sslhandshake(session)) "
        "show(require('ngx.ssl').ssl_session_reused(s:getsslpointer()))",
        context,
    )
    assert lines == ["cdata", "true"]


def test_protocols_that_are_off_are_not_spoken(run: Run, certificate: Certificate) -> None:
    context = certificate.server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    lines = run("s = connect() show(s:sslhandshake())", context, lua_ssl_protocols="TLSv1.2")
    assert lines == ["nil|handshake failed"]


def test_the_server_sees_the_name_that_was_asked_for(run: Run, certificate: Certificate) -> None:
    context = certificate.server_context()
    seen: list[str | None] = []
    context.sni_callback = lambda connection, name, context: seen.append(name)
    run("s = connect() s:sslhandshake(nil, 'peer.test')", context)
    run("s = connect() s:sslhandshake()", context)
    assert seen == ["peer.test", None]


def test_a_peer_that_speaks_no_tls_fails_the_handshake(
    app_server: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    port = upstream(lambda conversation: conversation.send(b"HTTP/1.0 400 Bad\r\n\r\n")).port
    server = app_server(APP % (port, "s = connect() show(s:sslhandshake()) show(s:close())"))
    assert server.ask().text.splitlines() == ["nil|handshake failed", "nil|closed"]
    server.log.wait_for("SSL_do_handshake() failed (SSL: error:")


def test_a_peer_that_goes_away_fails_the_handshake(
    app_server: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    port = upstream(lambda conversation: None).port
    server = app_server(APP % (port, "s = connect() show(s:sslhandshake())"))
    assert server.ask().text == "nil|handshake failed\n"


def test_a_peer_that_says_nothing_times_out(
    app_server: Callable[..., AppServer], upstream: Callable[..., Upstream]
) -> None:
    port = upstream(lambda conversation: conversation.read_all()).port
    server = app_server(APP % (port, "s = connect(50) show(s:sslhandshake()) show(s:send('x'))"))
    assert server.ask().text.splitlines() == ["nil|timeout", "nil|closed"]


def test_a_closed_socket_has_no_handshake(run: Run) -> None:
    lines = run("s = connect() s:close() show(s:sslhandshake()) show(s:getsslpointer())")
    assert lines == ["nil|closed", "nil|closed"]


def test_the_end_of_the_peer_is_the_end_of_the_stream(run: Run) -> None:
    code = "s = connect() s:sslhandshake() s:send('a\\nend\\n') show(s:receive('*a')) "
    code += "show(s:receive())"
    assert run(code) == ["a", "", "nil|closed|"]


def test_much_passes_both_ways(run: Run) -> None:
    code = (
        "s = connect() s:sslhandshake() local big = ('y'):rep(3000000) "
        "local t = ngx.thread.spawn(function() return s:send(big .. '\\n') end) "
        "show(#s:receive(3000001)) show(select(2, ngx.thread.wait(t))) "
        "s:send('size 2000000\\n') show(s:receive(2000000) == ('x'):rep(2000000))"
    )
    assert run(code) == ["3000001", "3000001", "true"]


def test_a_connection_from_the_pool_keeps_its_tls(run: Run) -> None:
    code = (
        "s = connect() s:sslhandshake() s:send('one\\n') show(s:receive()) "
        "show(s:setkeepalive(0, 10)) s = connect() show(s:getreusedtimes()) show(s:sslhandshake()) "
        "s:send('two\\n') show(s:receive())"
    )
    assert run(code) == ["one", "1", "1", "cdata", "two"]


def test_a_client_certificate_is_shown(
    run: Run, authority: Authority, certificate: Certificate
) -> None:
    context = certificate.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    shown = authority.issue("client.test")
    parse = (
        f"local ssl = require 'ngx.ssl' local cert = ssl.parse_pem_cert([[{shown.pem}]]) "
        f"local key = ssl.parse_pem_priv_key([[{shown.key_pem}]]) s = connect() "
    )
    ask = "show(s:sslhandshake()) s:send('a\\n') show(s:receive()) "
    assert run(parse + "show(s:setclientcert(cert, key)) " + ask, context)[-1] == "a"
    assert run("s = connect() " + ask, context)[-1] != "a"
    assert run("s = connect() show(s:setclientcert(cert, 1)) show(s:setclientcert(1))") == [
        "nil|client certificate must be supplied with corresponding private key",
        "nil|client certificate must be supplied with corresponding private key",
    ]


def test_a_configured_client_certificate_is_shown(
    run: Run, authority: Authority, certificate: Certificate
) -> None:
    context = certificate.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    shown = authority.issue("client.test")
    lines = run(
        "s = connect() show(s:sslhandshake(false)) s:send('a\\n') show(s:receive())",
        context,
        lua_ssl_certificate=str(shown.path),
        lua_ssl_certificate_key=str(shown.key_path),
    )
    assert lines == ["true", "a"]


def test_a_missing_authority_file_fails_and_is_logged(
    app_server: Callable[..., AppServer], tls_peer: Callable[..., Upstream]
) -> None:
    code = APP % (tls_peer(echo).port, "s = connect() show(s:sslhandshake())")
    server = app_server(code, lua_ssl_trusted_certificate="/nowhere.pem")
    assert server.ask().text == "nil|failed to create ssl connection\n"
    server.log.wait_for('SSL_CTX_load_verify_locations("/nowhere.pem") failed')


def test_nothing_is_left_of_many_connections(
    app_server: Callable[..., AppServer], tls_peer: Callable[..., Upstream]
) -> None:
    code = APP % (
        tls_peer(echo).port,
        "for i = 1, 50 do s = connect() s:sslhandshake() s:send('a\\n') s:receive() s:close() end "
        "collectgarbage() show('done')",
    )
    server = app_server(code)
    server.ask()
    server.settle()
    before, descriptors = server.rss(), server.descriptors()
    for _ in range(8):
        assert server.ask().text == "done\n"
    server.settle()
    assert server.descriptors() <= descriptors
    assert server.rss() - before < 4 << 20  # 400 lost connections would be some 20 MB


def test_a_reset_while_reading_is_told(
    app_server: Callable[..., AppServer], tls_peer: Callable[..., Upstream]
) -> None:
    def reset(conversation: Conversation) -> None:
        conversation.read_until(b"\n")
        assert isinstance(conversation.socket, ssl.SSLSocket)
        fd = conversation.socket.detach()
        conversation.socket = socket.socket(fileno=fd)
        conversation.reset()

    code = "s = connect() s:sslhandshake() s:send('a\\n') show(s:receive())"
    server = app_server(APP % (tls_peer(reset).port, code))
    assert server.ask().text == "nil|connection reset by peer|\n"


def test_an_object_of_another_kind_is_refused(run: Run, authority: Authority) -> None:
    shown = authority.issue("client.test")
    lines = run(
        f"local ssl = require 'ngx.ssl' local cert = ssl.parse_pem_cert([[{shown.pem}]]) "
        f"local key = ssl.parse_pem_priv_key([[{shown.key_pem}]]) s = connect() "
        "show(s:setclientcert(key, cert)) show(s:setclientcert(cert, cert)) "
        "show(s:setclientcert(1LL, 2ULL)) show(s:settrustedstore(key)) "
        "local session = s:sslhandshake(cert) show(session) show(s:sslhandshake(key) == session) "
        "show(ssl.ssl_session_reused(session)) show(ssl.ssl_session_reused(1))"
    )
    assert lines[:4] == [
        "nil|bad cert arg: cdata expected, got cdata",
        "nil|bad pkey arg: cdata expected, got cdata",
        "nil|bad cert arg: cdata expected, got cdata",
        "nil|bad store arg: cdata expected, got cdata",
    ]
    assert lines[4] == "cdata"
    assert lines[6:] == ["nil|bad ssl", "nil|bad ssl"]


STORE = """
local ffi = require "ffi"
ffi.cdef [[
    typedef struct x509_store_st X509_STORE;
    X509_STORE *X509_STORE_new(void);
    void X509_STORE_free(X509_STORE *store);
    int X509_STORE_load_locations(X509_STORE *store, const char *file, const char *path);
]]
local function store_of(path)
    local store = ffi.gc(ffi.C.X509_STORE_new(), ffi.C.X509_STORE_free)
    assert(ffi.C.X509_STORE_load_locations(store, path, nil) == 1)
    return store
end
"""


def test_a_store_is_trusted_for_one_handshake(
    run: Run, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "another")
    lines = run(
        f"{STORE} require 'ngx.ssl' local ours = store_of('{authority.path}') "
        f"local others = store_of('{other.path}') "
        "local function shake() return s:sslhandshake(false, 'peer.test', true) end "
        "s = connect() show(s:settrustedstore(ours)) show(shake()) show(s:settrustedstore(ours)) "
        "s:close() show(s:settrustedstore(ours)) "
        "s = connect() show(s:settrustedstore(others)) show(shake()) "
        "s = connect() s:settrustedstore(ours) show(s:settrustedstore(nil)) show(shake())"
    )
    unknown = "nil|20: unable to get local issuer certificate"
    done = "nil|ssl handshake already done; trusted store cannot be changed on an established "
    done += "TLS connection"
    assert lines == ["true", "true", done, "nil|closed", "true", unknown, "true", unknown]
