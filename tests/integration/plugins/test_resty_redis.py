"""resty.redis against a real redis-server, from inside a request."""

from collections.abc import Callable
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.redis_server import Redis


@pytest.fixture
def server(redis: Redis) -> Redis:
    """Empty."""
    redis("flushall")
    return redis


@pytest.fixture(scope="module")
def console(module_app_server: Callable[..., Any]) -> LuaConsole:
    return LuaConsole(module_app_server)


@pytest.fixture
def run(console: LuaConsole, server: Redis) -> Callable[[str], Any]:
    """Run Lua code that has `red`, connected, and `port`; what it returns comes back as JSON."""
    prelude = f"""
        local port = {server.port}
        local redis = require "resty.redis"
        local function connected()
            local red = assert(redis:new())
            red:set_timeouts(2000, 2000, 2000)
            assert(red:connect("127.0.0.1", port))
            return red
        end
        local red = connected()
    """
    return lambda code: console.run(prelude + code)


def test_every_command_is_a_method(run: Callable[[str], Any], server: Redis) -> None:
    server("set", "text", "a value")
    assert run('return red:get("text")') == ["a value"]
    assert run('return red:set("k", 42)') == ["OK"]
    assert run('return red:object("encoding", "k")') == ["int"]
    assert run('return red:getdel("k")') == ["42"]


def test_replies_have_the_types_of_lua(run: Callable[[str], Any]) -> None:
    assert run('return red:incr("n")') == [1]
    assert run('return red:get("absent") == ngx.null') == [True]
    assert run('return (red:set("empty", "")), red:get("empty")') == ["OK", ""]
    assert run('return red:blpop("absent", 0.01) == ngx.null') == [True]


def test_bytes_survive_both_ways(run: Callable[[str], Any]) -> None:
    code = r'local all = "a\r\n\0\255$3\r\n" red:set("b", all) return red:get("b") == all'
    assert run(code) == [True]


def test_an_error_of_redis_is_false_and_its_text(run: Callable[[str], Any]) -> None:
    reply, text = run('red:set("s", "x") return red:incr("s")')
    assert (reply, text) == (False, "ERR value is not an integer or out of range")
    assert run('red:incr("s") return red:get("s")') == ["x"], "the connection goes on"


def test_arrays_nest_and_carry_errors(run: Callable[[str], Any]) -> None:
    run('red:rpush("l", "a", "b")')
    assert run('return red:lrange("l", 0, -1)') == [["a", "b"]]
    script = "return {1, {'two', {3}}, redis.error_reply('ERR four')}"
    assert run(f'return red:eval("{script}", 0)') == [[1, ["two", [3]], [False, "ERR four"]]]


def test_hgetall_is_an_array_of_names_and_values(run: Callable[[str], Any]) -> None:
    run('red:hmset("h", "a", 1, "b", 2)')
    assert sorted(run('return red:hgetall("h")')[0]) == ["1", "2", "a", "b"]
    assert run('return red:array_to_hash(red:hgetall("h"))') == [{"a": "1", "b": "2"}]


def test_hmset_takes_a_table(run: Callable[[str], Any], server: Redis) -> None:
    assert run('return red:hmset("h", { one = 1, two = "2" })') == ["OK"]
    assert server("hget", "h", "one") == "1"
    assert server("hget", "h", "two") == "2"


def test_a_pipeline_sends_at_once_and_gathers_the_replies(
    run: Callable[[str], Any], server: Redis
) -> None:
    code = """
        red:init_pipeline()
        red:set("a", "text")
        red:incr("a")
        red:get("a")
        return red:commit_pipeline()
    """
    error = [False, "ERR value is not an integer or out of range"]
    assert run(code) == [["OK", error, "text"]]


def test_commands_in_a_pipeline_return_nothing_and_can_be_cancelled(
    run: Callable[[str], Any], server: Redis
) -> None:
    code = """
        red:init_pipeline(2)
        local kept = red:set("a", 1)
        red:cancel_pipeline()
        local _, err = red:commit_pipeline()
        return kept == nil, err, red:get("a") == ngx.null
    """
    assert run(code) == [True, "no pipeline", True]


def test_a_transaction(run: Callable[[str], Any]) -> None:
    code = """
        local began = red:multi()
        return began, red:set("a", "abc"), red:lpop("a"), red:exec()
    """
    wrong = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert run(code) == ["OK", "QUEUED", "QUEUED", ["OK", [False, wrong]]]


def test_a_transaction_that_lost_its_race_is_null(run: Callable[[str], Any]) -> None:
    code = """
        red:watch("a")
        connected():set("a", "other")
        red:multi()
        red:set("a", "mine")
        return red:exec() == ngx.null, red:get("a")
    """
    assert run(code) == [True, "other"]


def test_subscribe_receive_and_unsubscribe(run: Callable[[str], Any]) -> None:
    code = """
        local confirmed = red:subscribe("dog")
        connected():publish("dog", "hello")
        return confirmed, red:read_reply(), red:unsubscribe("dog"), (red:ping())
    """
    assert run(code) == [
        ["subscribe", "dog", 1],
        ["message", "dog", "hello"],
        ["unsubscribe", "dog", 0],
        "PONG",
    ]


def test_several_channels_are_confirmed_together(run: Callable[[str], Any]) -> None:
    code = """
        local confirmed = red:subscribe("dog", "cat")
        local pattern = red:psubscribe("bird*")
        connected():publish("birds", "tweet")
        local message = red:read_reply()
        return confirmed, pattern, message, red:unsubscribe(), red:punsubscribe("bird*")
    """
    confirmed, pattern, message, ended, last = run(code)
    assert confirmed == [["subscribe", "dog", 1], ["subscribe", "cat", 2]]
    assert pattern == ["psubscribe", "bird*", 3]
    assert message == ["pmessage", "bird*", "birds", "tweet"]
    assert sorted(name for _, name, _ in ended) == ["cat", "dog"]
    assert last == ["punsubscribe", "bird*", 0]


def test_a_message_between_command_and_reply_is_kept_for_read_reply(
    run: Callable[[str], Any],
) -> None:
    code = """
        red:subscribe("dog")
        connected():publish("dog", "early")
        local confirmed = red:subscribe("cat")
        return confirmed, red:read_reply()
    """
    assert run(code) == [["subscribe", "cat", 2], ["message", "dog", "early"]]


def test_messages_of_a_channel_left_are_forgotten(run: Callable[[str], Any]) -> None:
    code = """
        red:subscribe("dog", "cat")
        local other = connected()
        other:publish("dog", "1")
        other:publish("cat", "2")
        red:unsubscribe("dog")
        return red:read_reply()
    """
    assert run(code) == [["message", "cat", "2"]]


def test_without_a_subscription_there_is_nothing_to_read(run: Callable[[str], Any]) -> None:
    assert run("return red:read_reply()") == [None, "not subscribed"]
    assert run("return red:unsubscribe()") == [None, "not subscribed"]
    assert run('red:subscribe("dog") return red:set_keepalive()') == [None, "subscribed state"]


def test_a_connection_is_reused_out_of_the_pool(run: Callable[[str], Any]) -> None:
    code = """
        local first = redis:new()
        first:connect("127.0.0.1", port, { pool = "mine" })
        local id = first:client("id")
        local kept = first:set_keepalive(10000, 5)
        local second = redis:new()
        second:connect("127.0.0.1", port, { pool = "mine" })
        return kept, second:get_reused_times(), second:client("id") == id
    """
    assert run(code) == [1, 1, True]


def test_after_close_everything_says_closed(run: Callable[[str], Any]) -> None:
    assert run('return red:close(), select(2, red:get("x"))') == [1, "closed"]
    assert run("red:close() return red:close()") == [None, "closed"]


def test_authentication(run: Callable[[str], Any]) -> None:
    assert run('return red:auth("app", "secret"), red:acl("whoami")') == ["OK", "app"]
    reply, text = run('return red:auth("app", "wrong")')
    assert reply is False
    assert text.startswith("WRONGPASS")


def test_a_unix_socket(run: Callable[[str], Any], server: Redis) -> None:
    path = server("config", "get", "unixsocket")[1]
    code = f'local r = redis:new() assert(r:connect("unix:{path}")) return r:ping()'
    assert run(code) == ["PONG"]


def test_nobody_listens(run: Callable[[str], Any]) -> None:
    assert run('return redis:new():connect("127.0.0.1", 1)') == [None, "connection refused"]


def test_a_late_answer_ends_the_connection(run: Callable[[str], Any]) -> None:
    code = """
        local other = connected()
        other:client("pause", 60000, "write")
        red:set_timeout(20)
        local value, err = red:set("x", 1)
        local _, gone = red:get("x")
        return value, err, gone, (other:client("unpause"))
    """
    assert run(code) == [None, "timeout", "closed", "OK"]


def test_a_blocking_command_that_times_out_leaves_the_connection_open(
    run: Callable[[str], Any],
) -> None:
    code = """
        red:set_timeout(20)
        local _, err = red:blpop("queue", 1000)
        connected():rpush("queue", "job")
        red:set_timeout(2000)
        local late = red:get("x") -- the answer to blpop
        return err, late
    """
    assert run(code) == ["timeout", ["queue", "job"]]


def test_wrong_arguments_are_raised(run: Callable[[str], Any]) -> None:
    assert (
        "bad argument #1 host: string expected, got nil"
        in run("return select(2, pcall(red.connect, red))").pop()
    )
    assert (
        "bad argument #2 port: number expected, got table"
        in run('return select(2, pcall(red.connect, red, "127.0.0.1", {}))').pop()
    )
    assert (
        "bad argument #3 opts: nil or table expected, got string"
        in run('return select(2, pcall(red.connect, red, "127.0.0.1", 1, "x"))').pop()
    )


def test_the_module_itself_is_no_connection(run: Callable[[str], Any]) -> None:
    assert run('return redis:get("x")') == [None, "not initialized"]


def test_commands_of_redis_modules_get_their_prefix(run: Callable[[str], Any]) -> None:
    code = """
        redis.register_module_prefix("bf")
        local _, err = red:bf():add("dog", 1) return err, red:set("after", 1)
    """
    text, after = run(code)
    assert "'bf.add'" in text
    assert after == "OK"


def test_add_commands_is_still_there(run: Callable[[str], Any]) -> None:
    assert run('redis.add_commands("echo") return red:echo("hi")') == ["hi"]
