"""The phases of an application in the handshake: what they choose, refuse, wait for, and see."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from support.certificates import Authority, Certificate
from support.upstream import Upstream, answer_with

APP = """
local ssl = require "ngx.ssl"
return {
    ssl_certificate = function() %s end,
    content = function() ngx.print("hello") end,
}
"""


def common_name(connection: socket.socket) -> str:
    """Whom the server says it is."""
    assert isinstance(connection, ssl.SSLSocket)
    der = connection.getpeercert(binary_form=True)
    assert der
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def choose(certificate: Certificate) -> str:
    """Lua code that shows a certificate."""
    return (
        "ssl.clear_certs() "
        f"assert(ssl.set_cert(assert(ssl.parse_pem_cert([[{certificate.pem}]])))) "
        f"assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key([[{certificate.key_pem}]]))))"
    )


def choose_der(certificate: Certificate) -> str:
    return (
        f"ssl.clear_certs() assert(ssl.set_der_cert(ssl.cert_pem_to_der([[{certificate.pem}]]))) "
        f"assert(ssl.set_der_priv_key(ssl.priv_key_pem_to_der([[{certificate.key_pem}]])))"
    )


@pytest.mark.parametrize("way", [choose, choose_der])
def test_a_certificate_is_chosen_by_name(
    tls_server: Callable[..., Any], authority: Authority, way: Callable[[Certificate], str]
) -> None:
    other = authority.issue("other.test")
    server = tls_server(APP % f"if ssl.server_name() == 'other.test' then {way(other)} end")
    with server.connect("other.test") as client:
        assert client.ask().text == "hello"
        assert common_name(client.socket) == "other.test"
    with server.connect("peer.test") as client:
        assert common_name(client.socket) == "peer.test"


def test_no_configured_certificate_is_needed(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    chosen = choose(authority.issue("chosen.test"))
    server = tls_server(APP % chosen, ssl_certificate=False, ssl_certificate_key=False)
    assert server.ask(name="chosen.test").text == "hello"


def test_the_phase_may_wait(
    tls_server: Callable[..., Any], upstream: Callable[..., Upstream], authority: Authority
) -> None:
    port = upstream(answer_with(b"chosen.test\n")).port
    server = tls_server(
        APP
        % (
            f"ngx.sleep(0.001) local s = ngx.socket.tcp() assert(s:connect('127.0.0.1', {port})) "
            "s:send('x\\r\\n\\r\\n') local name = s:receive() ngx.sleep(0) "
            f"if name == 'chosen.test' then {choose(authority.issue('chosen.test'))} end"
        )
    )
    assert server.ask(name="chosen.test").text == "hello"


def test_light_threads_end_with_the_phase(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(
        APP
        % (
            "ngx.thread.spawn(function() ngx.sleep(0.001) "
            f"{choose(authority.issue('chosen.test'))} end)"
        )
    )
    assert server.ask(name="chosen.test").text == "hello"


@pytest.mark.parametrize("code", ["error('oops')", "ngx.sleep(0) error('oops')"])
def test_an_error_ends_the_handshake(tls_server: Callable[..., Any], code: str) -> None:
    server = tls_server(APP % code)
    with pytest.raises(ssl.SSLError):
        server.connect()
    server.log.wait_for("lua entry thread aborted: runtime error: ")
    assert "context: ssl_certificate_by_lua*, client: 127.0.0.1, server: 127." in server.log.text


@pytest.mark.parametrize("code", ["ngx.exit(ngx.ERROR)", "ngx.sleep(0) ngx.exit(ngx.ERROR)"])
def test_exit_with_an_error_ends_the_handshake(tls_server: Callable[..., Any], code: str) -> None:
    with pytest.raises(ssl.SSLError):
        tls_server(APP % code).connect()


def test_exit_ok_goes_on(tls_server: Callable[..., Any]) -> None:
    server = tls_server(APP % "ngx.exit(ngx.OK) error('not reached')")
    assert server.ask().text == "hello"


def test_the_phase_does_not_run_for_a_resumed_session(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(APP % "ngx.log(ngx.ERR, 'certificate phase')")
    context = authority.client_context()
    with server.connect(context=context) as client:
        client.ask()
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session
    with server.connect(context=context, session=session) as client:
        assert client.ask().text == "hello"
    assert len(server.log.lines("certificate phase")) == 1


def test_a_client_that_goes_away_ends_the_phase_s_handshake(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(APP % "ngx.log(ngx.ERR, 'began') ngx.sleep(0.05) ngx.log(ngx.ERR, 'woke')")
    plain = socket.create_connection(("127.0.0.1", server.app.port))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="peer.test")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    plain.sendall(outgoing.read())
    server.log.wait_for("began")
    plain.close()
    server.log.wait_for("woke")
    server.app.settle()
    assert server.ask().text == "hello"


def test_what_the_phase_sees(tls_server: Callable[..., Any]) -> None:
    server = tls_server(
        APP
        % (
            "local function hex(s) return s and (s:gsub('.', function(c) "
            "return ('%02x'):format(c:byte()) end)) end "
            "local addr, kind = ssl.raw_server_addr() local client, family = ssl.raw_client_addr() "
            "ngx.log(ngx.ERR, table.concat({ 'seen', ngx.get_phase(), ssl.server_name() or 'none', "
            "hex(addr), kind, hex(client), family, ssl.server_port(), ssl.get_tls1_version_str(), "
            "ssl.get_tls1_version(), #ssl.get_client_random(), ssl.get_client_random(0) }, ' '))"
        )
    )
    server.ask()
    text = server.log.wait_for("seen ")
    port = server.app.port
    known = f"7f000001 inet 7f000001 inet {port} TLSv1.3 772 32 32"
    assert f"seen ssl_cert peer.test {known}" in text
    server.connect(None).close()
    assert f"seen ssl_cert none {known}" in server.log.wait_for("seen ", 2)


def test_outside_of_tls_there_is_nothing_to_see(
    app_server: Callable[..., Any],
) -> None:
    server = app_server(
        'local ssl = require "ngx.ssl" return { content = function() '
        "ngx.say(select(2, ssl.server_name())) ngx.say(select(2, ssl.clear_certs())) "
        "ngx.say(select(3, ssl.raw_client_addr())) ngx.say(select(2, ssl.get_tls1_version())) end }"
    )
    assert server.ask().text == "bad request\n" * 4


def test_errors_of_parsing(app_server: Callable[..., Any]) -> None:
    server = app_server(
        'local ssl = require "ngx.ssl" return { content = function() '
        "ngx.say(select(2, ssl.parse_pem_cert('x'))) ngx.say(select(2, ssl.parse_der_cert(''))) "
        "ngx.say(select(2, ssl.parse_der_cert('x'))) ngx.say(select(2, ssl.parse_pem_priv_key('')))"
        "ngx.say(select(2, ssl.parse_der_priv_key('x'))) "
        "ngx.say(select(2, ssl.cert_pem_to_der('')))"
        "ngx.say(select(2, ssl.priv_key_pem_to_der('x'))) end }"
    )
    assert server.ask().text.splitlines() == [
        "PEM_read_bio_X509_AUX() failed",
        "invalid argument",
        "d2i_X509_bio() failed",
        "PEM_read_bio_PrivateKey() failed",
        "d2i_PrivateKey_bio() failed",
        "PEM_read_bio_X509_AUX() failed",
        "PEM_read_bio_PrivateKey() failed",
    ]


def test_a_client_is_asked_for_a_certificate(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    trusted = f"assert(ssl.parse_pem_cert([[{authority.path.read_text()}]]))"
    source = f"""
    local ssl = require "ngx.ssl"
    return {{
        ssl_certificate = function() assert(ssl.verify_client({trusted}, 1)) end,
        content = function() ngx.print(ngx.var.ssl_client_verify) end,
    }}"""
    server = tls_server(source)
    shown = authority.issue("client.test")
    context = authority.client_context()
    assert server.ask(context=context).text == "NONE"
    context.load_cert_chain(shown.path, shown.key_path)
    assert server.ask(context=context).text == "SUCCESS"


def test_servers_are_chosen_by_name(
    tls_server: Callable[..., Any], authority: Authority, certificate: Certificate
) -> None:
    one, other = authority.issue("one.test"), authority.issue("other.test", "*.other.test")
    source = f"""
    local function content(text) return function() ngx.print(text) end end
    local function certificate(path)
        return {{ ssl_certificate = path .. ".pem", ssl_certificate_key = path .. ".key" }}
    end
    return {{ servers = {{
        {{ names = {{ "one.test" }}, content = content("one"),
          settings = certificate("{one.path.with_suffix("")}") }},
        {{ names = {{ "other.test", "*.other.test" }}, content = content("other"),
          settings = certificate("{other.path.with_suffix("")}") }},
        {{ names = {{ "none.test" }}, content = content("none"),
          settings = {{ ssl_reject_handshake = true }} }},
    }} }}"""
    server = tls_server(source)
    for name in ("one.test", "other.test", "a.other.test"):
        with server.connect(name) as client:
            client.send(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")
            assert client.response().text == name.removesuffix(".test").split(".")[-1]
    with pytest.raises(ssl.SSLError):
        server.connect("none.test")
    with server.connect(None, context=authority.client_context()) as client:
        assert common_name(client.socket) == "one.test"
