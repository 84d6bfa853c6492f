"""resty.http and peers that break the protocol: any bytes give a response or an error text."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.upstream import Conversation, Script, Upstream

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NO_VERSION = "couldn't parse HTTP version from response status line: "
NO_STATUS = "couldn't parse status code from response status line: "
WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
    b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n"
    b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\nbody",
)


@pytest.fixture
def outcome(console: LuaConsole, upstream: Callable[[Script], Upstream]) -> Callable[..., Any]:
    """What request_uri returns for the bytes, which the peer closes the connection after."""

    def run(response: bytes, code: str = "return res and res.status or nil, err") -> Any:
        def script(conversation: Conversation) -> None:
            conversation.request()
            conversation.send(response)

        server = upstream(script)
        return console.run(f"""
            local httpc = require("resty.http").new()
            httpc:set_timeout(5000)
            local res, err = httpc:request_uri("http://127.0.0.1:{server.port}/")
            {code}
        """)

    return run


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 2", "closed"),
        (b"\r\n\r\n", NO_VERSION),
        (
            b"ICY 200 OK\r\n\r\n",
            "couldn't parse HTTP version from response status line: ICY 200 OK",
        ),
        (
            b"HTTP/2 200\r\n\r\n",
            "couldn't parse HTTP version from response status line: HTTP/2 200",
        ),
        (
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            "couldn't parse status code from response status line: HTTP/1.1 2x0 OK",
        ),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", "closed"),
        (b"HTTP/1.1 200 OK\r\nno field\r\n\r\n", "couldn't parse response header line: no field"),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", "couldn't parse response header line:  folded"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", "invalid Content-Length in response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\na",
            "invalid Content-Length in response",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
            "invalid Content-Length in response",
        ),
        (CHUNKED + b"", "closed"),
        (
            CHUNKED + b"zz\r\n",
            "unable to read chunksize",
        ),
        (
            CHUNKED + b"-5\r\n",
            "unable to read chunksize",
        ),
        (
            CHUNKED + b"ffffffffffffffff\r\n",
            "unable to read chunksize",
        ),
        (
            CHUNKED + b"1\r\nabc\r\n",
            "unable to read chunksize",
        ),
        (CHUNKED + b"5\r\nabc", "closed"),
        (CHUNKED + b"0\r\n", "closed"),
    ],
)
def test_what_is_wrong_is_said(outcome: Callable[..., Any], response: bytes, why: str) -> None:
    assert outcome(response) == [None, why]


def test_equal_lengths_are_one(outcome: Callable[..., Any]) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"
    assert outcome(response, "return res.body") == ["ab"]


def test_what_came_before_the_end(
    console: LuaConsole, upstream: Callable[[Script], Upstream]
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(CHUNKED + b"3\r\nabc\r\n5\r\nde")

    server = upstream(script)
    answer = console.run(f"""
        local httpc = require("resty.http").new()
        assert(httpc:connect{{ scheme = "http", host = "127.0.0.1", port = {server.port} }})
        return httpc:request{{}}:read_body()
    """)
    assert answer == [None, "closed", "abcde"]


def test_a_peer_that_says_nothing(
    console: LuaConsole, upstream: Callable[[Script], Upstream]
) -> None:
    def silent(conversation: Conversation) -> None:
        conversation.request()
        conversation.closed()

    server = upstream(silent)
    answer = console.run(f"""
        local httpc = require("resty.http").new()
        httpc:set_timeouts(1000, 1000, 1)
        return httpc:request_uri("http://127.0.0.1:{server.port}/")
    """)
    assert answer == [None, "timeout"]


def mutated(rng: random.Random) -> bytes:
    """A response with bytes changed, left out, doubled, or cut off."""
    data = bytearray(rng.choice(WHOLE))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) or 1)
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case 2:
                data[at:at] = rng.choice(
                    [b"\r\n", b"\0", b"ffffffffffff", b":", b" ", b"-1", b"\n"]
                )
            case _:
                del data[at:]
    return bytes(data)


def test_any_bytes_give_a_response_or_an_error(
    console: LuaConsole, upstream: Callable[[Script], Upstream]
) -> None:
    rng = random.Random(11)
    responses = [mutated(rng) for _ in range(300)]

    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(responses[conversation.number - 1])

    server = upstream(script)
    answer = console.run(f"""
        local outcomes = {{ good = 0, bad = 0 }}
        for _ = 1, {len(responses)} do
            local httpc = require("resty.http").new()
            httpc:set_timeout(5000)
            local uri = "http://127.0.0.1:{server.port}/"
            local res, err = httpc:request_uri(uri, {{ keepalive = false }})
            assert((res ~= nil) ~= (err ~= nil), "neither or both")
            assert(not res or type(res.body) == "string" and res.status)
            assert(not err or type(err) == "string" and err ~= "timeout", err)
            local outcome = res and "good" or "bad"
            outcomes[outcome] = outcomes[outcome] + 1
        end
        return outcomes
    """)
    assert answer[0]["good"] > 20
    assert answer[0]["bad"] > 100
