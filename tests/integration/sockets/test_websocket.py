"""resty.websocket, both ends of it, against the other end of Python's websockets."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.app_server import AppServer
from support.lua_console import LuaConsole
from support.upstream import Conversation, Upstream, running_upstream
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.sync.client import ClientConnection, connect

ECHO = """
return { content = function()
    local wb, err = require("resty.websocket.server"):new{
        timeout = 5000, max_payload_len = 200000, send_masked = ngx.var.arg_masked == "yes",
    }
    if not wb then
        ngx.status = 400
        return ngx.say(err)
    end
    if ngx.var.uri == "/timeout" then
        wb:set_timeout(50)
        local data, typ, why
        repeat
            data, typ, why = wb:recv_frame()
            local sent = wb:send_text(why or data)
        until data == "end" or not sent
        return wb:send_close(1000, "enough")
    end
    while true do
        local data, typ, err = wb:recv_frame()
        if not data then
            local _, fatal = wb:send_text("x")
            return ngx.log(ngx.WARN, "receiving: ", err, "; then: ", fatal)
        elseif typ == "close" then
            ngx.log(ngx.WARN, "closed: ", err, " ", data)
            return wb:send_close(err, data)
        elseif typ == "ping" then
            wb:send_pong(data)
        elseif typ == "text" then
            wb:send_text(data .. (err and " (" .. err .. ")" or ""))
        elseif typ == "binary" then
            wb:send_binary(data)
        else
            wb:send_text(typ .. ":" .. data)
        end
    end
end }
"""


@pytest.fixture(scope="module")
def echo(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(ECHO)


def client(echo: AppServer, path: str = "/", **options: Any) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{echo.port}{path}", open_timeout=20, compression=None, **options
    )


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200000])
def test_frames_of_all_sizes_come_back(echo: AppServer, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    with client(echo) as ws:
        ws.send(data[:size])
        assert ws.recv(timeout=20) == data[:size]
        ws.send("é" * (size // 2))
        assert ws.recv(timeout=20) == "é" * (size // 2)


def test_a_ping_is_answered(echo: AppServer) -> None:
    with client(echo) as ws:
        assert ws.ping(b"marked").wait(20)


def test_a_message_in_fragments_says_again(echo: AppServer) -> None:
    with client(echo) as ws:
        ws.send(iter(["one", "two", ""]))
        pieces = [ws.recv(timeout=20) for _ in range(3)]
        assert pieces == ["one (again)", "continuation:two", "continuation:"]


def test_closing_says_why_both_ways(echo: AppServer) -> None:
    with client(echo) as ws:
        ws.close(3001, "enough")
        assert ws.close_code == 3001
        assert ws.close_reason == "enough"
    echo.log.wait_for("closed: 3001 enough")


def test_what_is_too_large_ends_it(echo: AppServer) -> None:
    with client(echo) as ws:
        ws.send(b"x" * 200001)
        with pytest.raises(ConnectionClosedError):
            ws.recv(timeout=20)
    echo.log.wait_for("receiving: exceeding max payload len; then: fatal error already happened")


def test_a_masked_frame_of_a_server_is_refused(echo: AppServer) -> None:
    with client(echo, "/?masked=yes") as ws:
        ws.send("x")
        with pytest.raises(ConnectionClosedError):
            ws.recv(timeout=20)


def test_one_of_the_protocols_is_chosen(echo: AppServer) -> None:
    with client(echo, subprotocols=["chat", "other"]) as ws:
        assert ws.subprotocol == "chat"


def test_a_timeout_ends_nothing(echo: AppServer) -> None:
    with client(echo, "/timeout") as ws:
        assert ws.recv(timeout=20) == "failed to receive the first 2 bytes: timeout"
        ws.send("end")
        assert "end" in list(ws)
        assert (ws.close_code, ws.close_reason) == (1000, "enough")


HEAD = (
    b"GET /timeout HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_the_key_of_the_rfc_s_example(echo: AppServer) -> None:
    with echo.connect() as link:
        link.socket.sendall(HEAD)
        head = link.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        assert b"\r\nConnection: upgrade\r\n" in head


def test_a_frame_that_comes_in_bits_is_put_together(echo: AppServer) -> None:
    """The read times out in the middle of it, again and again."""
    frame = bytes([0x81, 0x83]) + b"\0\0\0\0end"
    timed_out = b"payload: timeout"
    with echo.connect() as link:
        link.socket.sendall(HEAD)
        link.read_until(b"\r\n\r\n")
        for at in range(len(frame) - 1):
            link.socket.sendall(frame[at : at + 1])
            link.read_until(b"bytes: timeout" if at == 0 else timed_out)
        link.socket.sendall(frame[-1:])
        link.read_until(b"enough")


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"), "bad http version"),
        (
            HEAD.replace(b"Upgrade: websocket", b"Upgrade: other"),
            'bad "upgrade" request header: other',
        ),
        (HEAD.replace(b"Upgrade: websocket\r\n", b""), 'bad "upgrade" request header: nil'),
        (HEAD.replace(b"keep-alive, Upgrade", b"close"), 'bad "connection" request header'),
        (HEAD.replace(b"-Key", b"-Kez"), 'bad "sec-websocket-key" request header'),
        (HEAD.replace(b": 13", b": 12"), 'bad "sec-websocket-version" request header'),
    ],
)
def test_requests_that_are_no_handshake(echo: AppServer, head: bytes, why: str) -> None:
    with echo.connect() as link:
        link.socket.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        response = link.response("GET")
        assert (response.status, response.text) == (400, why + "\n")


BAD_FRAMES = {
    "reserved bits": (b"\xf1\x80\0\0\0\0", "bad RSV1, RSV2, or RSV3 bits"),
    "reserved data": (b"\x83\x80\0\0\0\0", "reserved non-control frames"),
    "reserved control": (b"\x8b\x80\0\0\0\0", "reserved control frames"),
    "unmasked": (b"\x81\x00", "frame unmasked"),
    "long control": (b"\x89\xfe\0\x7e", "too long payload for control frame"),
    "control in fragments": (b"\x09\x80\0\0\0\0", "fragmented control frame"),
    "huge": (b"\x82\xff\xff\0\0\0\0\0\0\0", "payload len too large"),
    "huge enough": (b"\x82\xff\0\0\0\0\x80\0\0\0", "payload len too large"),
    "short close": (
        b"\x88\x81\0\0\0\0x",
        "close frame with a body must carry a 2-byte status code",
    ),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_frames_that_may_not_be(echo: AppServer, name: str) -> None:
    frame, why = BAD_FRAMES[name]
    with echo.connect() as link:
        link.socket.sendall(HEAD.replace(b"/timeout", b"/"))
        link.read_until(b"\r\n\r\n")
        link.socket.sendall(frame)
        assert link.socket.recv(1) == b""
    echo.log.wait_for(f"receiving: {why};")


# -- the client ---------------------------------------------------------------------------------


def respond(protocol: ServerProtocol, frame: Frame, head: Request) -> None:
    """Say back what comes; some messages have answers of their own."""
    if frame.opcode is Opcode.BINARY:
        protocol.send_binary(frame.data)
    elif frame.data == b"who":
        protocol.send_text(repr(sorted(head.headers.raw_items())).encode())
    elif frame.data == b"ping":
        protocol.send_ping(b"are you there")
    elif frame.data == b"bye":
        protocol.send_close(4001, "go away")
    elif frame.opcode is Opcode.TEXT:
        protocol.send_text(frame.data)


def speak(conversation: Conversation) -> None:
    """The server of Python's websockets over one connection."""
    protocol = ServerProtocol(max_size=None)
    while not protocol.close_expected() and (data := conversation.socket.recv(65536)):
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                head = event
                protocol.send_response(protocol.accept(event))
            else:
                respond(protocol, event, head)
        for piece in protocol.data_to_send():
            conversation.send(piece)


@pytest.fixture(scope="module")
def peer() -> Iterator[Upstream]:
    with running_upstream(speak) as server:
        yield server
        assert not server.errors


@pytest.fixture
def run(console: LuaConsole, peer: Upstream) -> Callable[[str], Any]:
    """Run Lua code that has `uri` and `open(options, path)`."""
    prelude = f"""
        local uri = "ws://127.0.0.1:{peer.port}"
        local client = require "resty.websocket.client"
        local function open(options, path)
            local wb = client:new{{ timeout = 5000, max_payload_len = 200000 }}
            assert(wb:connect(uri .. (path or "/"), options))
            return wb
        end
    """
    return lambda code: console.run(prelude + code)


def test_a_client_s_frames_are_understood(run: Callable[[str], Any]) -> None:
    code = """
        local wb, results = open(), {}
        for _, size in ipairs{ 0, 1, 125, 126, 65535, 65536, 199999 } do
            local data = ("b\\0\\255"):rep(size):sub(1, size)
            assert(wb:send_binary(data))
            local got, typ, err = wb:recv_frame()
            results[#results + 1] = got == data and typ == "binary" and err == nil
        end
        return results
    """
    assert run(code) == [[True] * 7]


def test_closing_by_the_server(run: Callable[[str], Any]) -> None:
    code = 'local wb = open() wb:send_text("bye") return wb:recv_frame()'
    assert run(code) == ["go away", "close", 4001]


def test_closing_by_the_client(run: Callable[[str], Any]) -> None:
    code = """
        local wb = open()
        local sent = wb:send_close(1000, "done")
        local data, typ, code = wb:recv_frame()
        return sent, data, typ, code, (select(2, wb:send_text("x"))), (wb:close())
    """
    assert run(code) == [12, "done", "close", 1000, "already closed", 1]


def test_pings_come_as_frames(run: Callable[[str], Any]) -> None:
    code = """
        local wb = open()
        wb:send_text("ping")
        local data, typ = wb:recv_frame()
        local answered, asked = wb:send_pong(data), wb:send_ping()
        return data, typ, answered, asked, select(2, wb:recv_frame())
    """
    assert run(code) == ["are you there", "ping", 19, 6, "pong"]


def test_what_the_handshake_says(run: Callable[[str], Any]) -> None:
    code = """
        local key = ngx.encode_base64(("k"):rep(16))
        local wb = open({ protocols = { "a", "b" }, origin = "http://o", headers = { "X-One: 1" },
            host = "named", key = key }, "/path?x=1")
        wb:send_text("who")
        return wb:recv_frame()
    """
    text = run(code)[0]
    for name, value in (
        ("Sec-WebSocket-Protocol", "a,b"),
        ("Origin", "http://o"),
        ("X-One", "1"),
        ("Host", "named"),
        ("Sec-WebSocket-Version", "13"),
    ):
        assert f"({name!r}, {value!r})" in text


def test_a_connection_is_used_again(run: Callable[[str], Any]) -> None:
    code = """
        local wb = open{ pool = "again" }
        local kept = wb:set_keepalive(5000, 2)
        local _, _, how = wb:connect(uri .. "/", { pool = "again" })
        wb:send_text("still")
        return kept, how, (wb:recv_frame())
    """
    assert run(code) == [1, "connection reused", "still"]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ('connect("http://x")', "bad websocket uri"),
        ('connect("ws://127.0.0.1:1/")', "failed to connect: connection refused"),
        ('connect("ws://unix:/none.sock:/")', "failed to connect: no such file or directory"),
        ("connect(uri, { server_name = 1 })", "SSL server_name must be a string"),
        ("connect(uri, { headers = 1 })", "custom headers must be a table"),
        ("connect(uri, { host = 1 })", "custom host header must be a string"),
        ("connect(uri, { key = 1 })", "custom Sec-WebSocket-Key must be a string"),
        ("send_close(70000)", "bad status code"),
        ('send_ping(("x"):rep(126))', "too much payload for control frame"),
        ('send_text(("x"):rep(70000))', "payload too big"),
    ],
)
def test_what_a_client_refuses(run: Callable[[str], Any], call: str, why: str) -> None:
    assert run(f"local wb = client:new() return wb:{call}")[:2] == [None, why]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "bad HTTP response status line: HTTP/1.1 403 Forbidden",
        ),
        (b"HTTP/1.1 101 Fine\r\nA: b\r\n\r\n", 'bad "sec-websocket-accept" response header'),
    ],
)
def test_answers_that_are_no_handshake(
    console: LuaConsole, upstream: Callable[..., Any], answer: bytes, why: str
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(answer)

    port = upstream(script).port
    code = f"""
        local wb = require("resty.websocket.client"):new()
        return wb:connect("ws://127.0.0.1:{port}/")
    """
    assert console.run(code) == [None, why, answer.decode()[:-4]]
