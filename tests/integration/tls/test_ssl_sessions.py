"""The phase of the client hello, and those that fetch and store sessions."""

import ssl
from collections.abc import Callable
from typing import Any

import pytest
from support.certificates import Authority

HELLO = """
local hello = require "ngx.ssl.clienthello"
return {
    ssl_client_hello = function() %s end,
    content = function() ngx.print("hello") end,
}
"""

# Sessions lie in a table; fetching and storing each wait a little.
SESSIONS = """
local session = require "ngx.ssl.session"
local kept = {}
return {
    ssl_session_fetch = function()
        ngx.sleep(0.001)
        local id = assert(session.get_session_id())
        ngx.log(ngx.ERR, "fetch ", ngx.get_phase(), " ", kept[id] ~= nil)
        if kept[id] then
            assert(session.set_serialized_session(kept[id]))
        end
        %s
    end,
    ssl_session_store = function()
        ngx.sleep(0.001)
        ngx.log(ngx.ERR, "store ", ngx.get_phase())
        kept[assert(session.get_session_id())] = assert(session.get_serialized_session())
        %s
    end,
    content = function()
        ngx.print(ngx.var.ssl_session_reused)
    end,
}
"""


def test_the_hello_tells_what_is_offered(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(
        HELLO
        % (
            "local offered = {} for _, number in ipairs(hello.get_client_hello_ext_present()) do "
            "offered[number] = true end "
            "ngx.log(ngx.ERR, table.concat({ 'seen', ngx.get_phase(), "
            "hello.get_client_hello_server_name() or 'none', "
            "table.concat(hello.get_supported_versions(), '+'), "
            "tostring(offered[43]), tostring(offered[999]), "
            "hello.get_client_hello_ciphers()[1], #hello.get_client_hello_ext(43), "
            "tostring(hello.get_client_hello_ext(999)) }, ' '))"
        )
    )
    context = authority.client_context()
    first = int(context.get_ciphers()[0]["id"]) & 0xFFFF  # type: ignore[index]
    server.ask(context=context)
    text = server.log.wait_for("seen ")
    assert f"seen ssl_client_hello peer.test TLSv1.2+TLSv1.3 true nil {first} 5 nil" in text
    server.connect(None).close()
    server.log.wait_for("seen ssl_client_hello none ")


def test_the_hello_decides_on_the_protocols(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(
        HELLO
        % (
            "ngx.sleep(0.001) assert(not hello.set_protocols({ 'TLSv9' })) "
            "assert(hello.set_protocols({ 'TLSv1.2' }))"
        )
    )
    with server.connect() as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.version() == "TLSv1.2"
    context = authority.client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with pytest.raises(ssl.SSLError):
        server.connect(context=context)


@pytest.mark.parametrize("code", ["error('no')", "ngx.sleep(0) ngx.exit(ngx.ERROR)"])
def test_the_hello_s_phase_may_refuse(tls_server: Callable[..., Any], code: str) -> None:
    with pytest.raises(ssl.SSLError):
        tls_server(HELLO % code).connect()


def test_elsewhere_there_is_no_hello(app_server: Callable[..., Any]) -> None:
    server = app_server(
        'local hello = require "ngx.ssl.clienthello" return { content = function() '
        "ngx.say(select(2, pcall(hello.get_client_hello_server_name))) end }"
    )
    assert server.ask().text == "API disabled in the current context\n"


def asked(server: Any, context: ssl.SSLContext, session: Any = None) -> tuple[str, Any]:
    """What a request over a connection that offers a session is answered, and the session then."""
    with server.connect(context=context, session=session) as client:
        text = client.ask().text
        return text, client.socket.session


def old(authority: Authority) -> ssl.SSLContext:
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_a_session_that_was_stored_is_fetched(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(SESSIONS % ("", ""), ssl_session_tickets=False)
    context = old(authority)
    first, session = asked(server, context)
    second, _ = asked(server, context, session)
    assert (first, second) == (".", "r")
    server.log.wait_for("store ssl_session_store")
    server.log.wait_for("fetch ssl_session_fetch true")
    assert len(server.log.lines("store ")) == 1  # one that is resumed is not stored again


@pytest.mark.parametrize("code", ["error('no')", "ngx.exit(ngx.ERROR)"])
def test_what_fails_costs_the_session_alone(
    tls_server: Callable[..., Any], authority: Authority, code: str
) -> None:
    server = tls_server(SESSIONS % ("", code), ssl_session_tickets=False)
    context = old(authority)
    _, session = asked(server, context)
    assert asked(server, context, session)[0] == "r"


def test_a_ticket_needs_no_fetching(tls_server: Callable[..., Any], authority: Authority) -> None:
    server = tls_server(SESSIONS % ("", ""))
    context = old(authority)
    _, session = asked(server, context)
    assert asked(server, context, session)[0] == "r"
    assert not server.log.lines("fetch ")


def test_bytes_that_are_no_session_are_refused(
    tls_server: Callable[..., Any], authority: Authority
) -> None:
    server = tls_server(
        SESSIONS
        % (
            "ngx.log(ngx.ERR, 'bad: ', select(2, session.set_serialized_session('x')), ', ', "
            "select(2, session.set_serialized_session('')), ', ', "
            "select(2, session.get_serialized_session()))",
            "",
        ),
        ssl_session_tickets=False,
    )
    context = old(authority)
    _, session = asked(server, context)
    asked(server, context, session)
    server.log.wait_for(
        "bad: failed to de-serialize session, invalid session length, bad session in lua context"
    )
