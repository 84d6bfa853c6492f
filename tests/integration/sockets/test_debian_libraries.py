"""The libraries for ngx_lua that Debian packages, unmodified, on pygw: against real servers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.nameserver import running as running_nameserver
from support.redis_server import Redis
from support.redis_server import running as running_redis
from support.upstream import Conversation, Upstream, running_upstream

LUA = Path("/usr/share/lua/5.1")

# The packages' modules are called nginx.NAME; among themselves too.
PRELUDE = f"""
    if not package.path:find("{LUA}", 1, true) then
        package.path = package.path .. ";{LUA}/?.lua"
    end
    local function theirs(name)
        local file = assert(package.searchpath("nginx." .. name, package.path))
        assert(file:find("{LUA}", 1, true), file)
        return require("nginx." .. name)
    end
"""


def needs(package: str, file: str) -> None:
    if not (LUA / "nginx" / file).exists():
        pytest.skip(f"needs Debian's {package}")


@pytest.fixture
def run(console: LuaConsole) -> Callable[[str], Any]:
    return lambda code: console.run(PRELUDE + code)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis") / "r") as server:
        yield server


def test_redis(run: Callable[[str], Any], redis: Redis) -> None:
    needs("lua-nginx-redis", "redis.lua")
    code = f"""
        local red = theirs("redis"):new()
        red:set_timeouts(2000, 2000, 2000)
        assert(red:connect("127.0.0.1", {redis.port}))
        local results = {{ red:set("dog", "an animal"), red:get("dog") }}
        results[3] = red:get("none") == ngx.null
        red:init_pipeline()
        red:incr("n") red:incr("n") red:lpush("n", 1)
        results[4] = red:commit_pipeline()
        results[5] = red:set_keepalive(1000, 5)
        assert(red:connect("127.0.0.1", {redis.port}))
        results[6] = red:get_reused_times()
        return unpack(results)
    """
    wrong = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert run(code) == ["OK", "an animal", True, [1, 2, [False, wrong]], 1, 1]


def test_memcached(run: Callable[[str], Any], memcached: int) -> None:
    needs("lua-nginx-memcached", "memcached.lua")
    code = f"""
        local memc = theirs("memcached"):new()
        memc:set_timeout(2000)
        assert(memc:connect("127.0.0.1", {memcached}))
        assert(memc:flush_all())
        local stored = memc:set("dog", {{ "a ", "dog" }}, 0, 3)
        local value, flags = memc:get("dog")
        local many = memc:get({{ "dog", "cat" }})
        return stored, value, flags, many, select(2, memc:incr("dog", 1)), memc:close()
    """
    why = "CLIENT_ERROR cannot increment or decrement non-numeric value"
    assert run(code) == [1, "a dog", "3", {"dog": ["a dog", "3"]}, why, 1]


def test_dns(run: Callable[[str], Any]) -> None:
    needs("lua-nginx-dns", "dns/resolver.lua")
    with running_nameserver() as server:
        code = f"""
            local resolver = theirs("dns.resolver")
            local servers = {{ {{ "127.0.0.1", {server.port} }} }}
            local r = resolver:new{{ nameservers = servers, timeout = 500 }}
            local answers = assert(r:query("a.test"))
            local big = assert(r:query("big.test"))
            return answers[2].address, big[1].address, r:query("none.test").errstr,
                resolver.arpa_str("FF01::101"):sub(1, 9)
        """
        assert run(code) == ["192.0.2.2", "192.0.2.3", "name error", "1.0.1.0.0"]
        assert [transport for transport, *_ in server.asked] == ["udp", "udp", "tcp", "udp"]


WEBSOCKET = (
    PRELUDE
    + """
return { content = function()
    if ngx.var.uri == "/server" then
        local wb, err = theirs("websocket.server"):new{ timeout = 5000 }
        if not wb then
            return ngx.log(ngx.ERR, err)
        end
        repeat
            local data, typ = wb:recv_frame()
            if typ == "text" then
                wb:send_text("got " .. data)
            end
        until typ == "close" or not data
        return wb:send_close(1000, "done")
    end
    local wb = theirs("websocket.client"):new{ timeout = 5000 }
    assert(wb:connect("ws://127.0.0.1:" .. ngx.var.server_port .. "/server"))
    local parts = {}
    for i, size in ipairs{ 1, 200, 60000 } do
        wb:send_text(("x"):rep(size))
        parts[i] = #wb:recv_frame()
    end
    wb:send_close()
    local data, typ, code = wb:recv_frame()
    ngx.print(table.concat(parts, ","), ",", data, ",", typ, ",", code)
end }
"""
)


def test_websocket_server_and_client(app_server: Callable[..., Any]) -> None:
    needs("lua-nginx-websocket", "websocket/server.lua")
    server = app_server(WEBSOCKET)
    assert server.ask().text == "5,204,60004,done,close,1000"


def test_string(run: Callable[[str], Any]) -> None:
    needs("lua-nginx-string", "string.lua")
    code = """
        local to_hex = theirs("string").to_hex
        local sums = {}
        for _, name in ipairs{ "md5", "sha1", "sha256", "sha512" } do
            local sum = theirs(name):new()
            sum:update("hello")
            sums[#sums + 1] = to_hex(sum:final()):sub(1, 8)
        end
        local aes = theirs("aes"):new("secret")
        return sums, aes:decrypt(aes:encrypt("text")), #theirs("random").bytes(8)
    """
    assert run(code) == [["5d41402a", "aaf4c61d", "2cf24dba", "9b71d224"], "text", 8]


COOKIE = (
    PRELUDE
    + """
return { content = function()
    local cookie = theirs("cookie"):new()
    local all = cookie:get_all()
    cookie:set{ key = "Name", value = "Bob", path = "/", httponly = true }
    ngx.print(cookie:get("a"), all.b, tostring((cookie:get("c"))))
end }
"""
)


def test_cookie(app_server: Callable[..., Any]) -> None:
    needs("lua-nginx-cookie", "cookie.lua")
    answer = app_server(COOKIE).ask("/", "Cookie: a=1; b=2")
    assert answer.text == "12nil"
    assert answer.header("Set-Cookie") == "Name=Bob; Path=/; HttpOnly"


def broker(conversation: Conversation) -> None:
    """A Kafka broker of one topic with one partition, itself its leader (protocol version 0)."""
    while head := conversation.socket.recv(4):
        size = int.from_bytes(head, "big")
        request = b""
        while len(request) < size:
            request += conversation.socket.recv(size - len(request))
        kind, correlation = int.from_bytes(request[:2], "big"), request[4:8]
        answer = correlation + (_metadata(conversation) if kind == 3 else _produced(request))
        conversation.send(len(answer).to_bytes(4, "big") + answer)


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _int32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def _metadata(conversation: Conversation) -> bytes:
    port = conversation.socket.getsockname()[1]
    node = _int32(1, 1) + _text(b"127.0.0.1") + _int32(port)
    partition = b"\0\0" + _int32(0, 1, 1, 1, 1, 1)
    return node + _int32(1) + b"\0\0" + _text(b"topic") + _int32(1) + partition


def _produced(request: bytes) -> bytes:
    assert b"the message" in request
    return _int32(1) + _text(b"topic") + _int32(1, 0) + b"\0\0" + (41).to_bytes(8, "big")


@pytest.fixture
def kafka() -> Iterator[Upstream]:
    with running_upstream(broker) as server:
        yield server
        assert not server.errors


def test_kafka(run: Callable[[str], Any], kafka: Upstream) -> None:
    needs("lua-nginx-kafka", "kafka/producer.lua")
    code = f"""
        local servers = {{ {{ host = "127.0.0.1", port = {kafka.port} }} }}
        local producer = theirs("kafka.producer"):new(servers)
        local offset, err = producer:send("topic", "key", "the message")
        return tonumber(offset), err
    """
    assert run(code) == [42]  # the next offset
