"""resty.memcached against a real memcached."""

from collections.abc import Callable
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.upstream import Conversation

Run = Callable[[str], Any]


@pytest.fixture
def run(console: LuaConsole, memcached: int) -> Run:
    """Run Lua code that has `memc`, connected to an empty memcached, and `port`."""
    prelude = f"""
        local memcached = require "resty.memcached"
        local port = {memcached}
        local memc = assert(memcached:new())
        memc:set_timeouts(2000, 2000, 2000)
        assert(memc:connect("127.0.0.1", port))
        assert(memc:flush_all())
    """
    return lambda code: console.run(prelude + code)


def test_a_value_and_its_flags(run: Run) -> None:
    assert run('return memc:set("dog", 32), memc:get("dog")') == [1, "32", "0"]
    assert run('memc:set("dog", "x", 0, 7) return memc:get("dog")') == ["x", "7"]
    assert run('return memc:get("none")') == []
    assert run('return select("#", memc:get("none"))') == [3]


def test_bytes_survive_both_ways(run: Run) -> None:
    code = r'local all = "a\r\nEND\r\n\0\255" memc:set("b", all) return memc:get("b") == all'
    assert run(code) == [True]


def test_a_value_in_fragments(run: Run) -> None:
    code = 'memc:set("dog", { "a ", { "kind of", {} }, " animal" }) return (memc:get("dog"))'
    assert run(code) == ["a kind of animal"]


def test_keys_are_escaped(run: Run) -> None:
    code = 'memc:set("a key\\r\\nof mine", "v") return memc:get({ "a key\\r\\nof mine" })'
    assert run(code) == [{"a key\r\nof mine": ["v", "0"]}]


def test_other_keys_by_other_rules(run: Run) -> None:
    code = """
        local other = memcached:new{ key_transform = { string.upper, string.lower } }
        other:connect("127.0.0.1", port)
        other:set("key", "v")
        return (memc:get("KEY")), other:get({ "key" }), memcached:new{ key_transform = {} }
    """
    why = "expecting key_transform = { escape, unescape } table"
    assert run(code) == ["v", {"key": ["v", "0"]}, None, why]


def test_many_at_once(run: Run) -> None:
    code = """
        memc:set("a", "1", 0, 5) memc:set("b", "2")
        local found = memc:gets({ "a", "none", "b" })
        return memc:get({ "a", "none", "b" }), next(memc:get({})), #found.a
    """
    assert run(code) == [{"a": ["1", "5"], "b": ["2", "0"]}, None, 3]


def test_the_ways_to_store(run: Run) -> None:
    code = """
        local not_there = select(2, memc:replace("k", "x"))
        local added = memc:add("k", "b")
        local again = select(2, memc:add("k", "c"))
        return not_there, added, again, memc:append("k", "c"), memc:prepend("k", "a"),
            (memc:get("k")), memc:replace("k", "z"), (memc:get("k"))
    """
    assert run(code) == ["NOT_STORED", 1, "NOT_STORED", 1, 1, "abc", 1, "z"]


def test_compare_and_set(run: Run) -> None:
    code = """
        memc:set("k", "old")
        local value, flags, number, err = memc:gets("k")
        local set = memc:cas("k", "new", number)
        local late = select(2, memc:cas("k", "newer", number))
        return value, flags, err, set, late, (memc:get("k")), memc:gets("none")
    """
    assert run(code) == ["old", "0", None, 1, "EXISTS", "new"]


def test_counting(run: Run) -> None:
    code = """
        memc:set("n", "10")
        return memc:incr("n", 2), memc:decr("n", 5), select(2, memc:incr("none", 1))
    """
    assert run(code) == ["12", "7", "NOT_FOUND"]


def test_forgetting(run: Run) -> None:
    code = """
        memc:set("k", "v")
        return memc:touch("k", 100), select(2, memc:touch("none", 1)), memc:delete("k"),
            select(2, memc:delete("k")), memc:flush_all(10)
    """
    assert run(code) == [1, "NOT_FOUND", 1, "NOT_FOUND", 1]


def test_what_the_server_says_of_itself(run: Run) -> None:
    code = """
        return memc:stats()[1]:match("^STAT %a+"), type(memc:stats("items")),
            memc:version():match("%d+%."), memc:verbosity(1), memc:quit()
    """
    assert run(code) == ["STAT pid", "table", "1.", 1, 1]


def test_errors_of_the_server_are_texts(run: Run) -> None:
    code = 'local _, _, err = memc:get(("k"):rep(3000)) return err:match("^CLIENT_ERROR")'
    assert run(code) == ["CLIENT_ERROR"]


def test_a_pipeline_sends_at_once_and_gathers_the_answers(run: Run) -> None:
    code = """
        assert(memc:init_pipeline(4) == nil)
        local twice = memc:init_pipeline()
        local kept = memc:set("a", "1")
        memc:incr("a", 1) memc:get("a") memc:gets("none") memc:delete("none") memc:touch("a", 9)
        local results = memc:commit_pipeline()
        return twice, kept, results
    """
    twice, kept, results = run(code)
    assert (twice, kept) == ("already init pipeline", 1)
    assert results[:3] == [[1], ["2"], ["2", "0"]]
    assert results[4:] == [[None, "NOT_FOUND"], [1]]


def test_no_pipeline_to_commit(run: Run) -> None:
    assert run("return memc:commit_pipeline()") == [None, "no pipeline"]
    assert run("memc:init_pipeline() return memc:commit_pipeline()") == [None, "no more cmds"]
    assert run("memc:init_pipeline() memc:cancel_pipeline() return memc:commit_pipeline()") == [
        None,
        "no pipeline",
    ]
    assert run('return memc:init_pipeline("x")') == ["bad n arg: number expected, but got string"]


def test_connections_are_used_again(run: Run) -> None:
    code = """
        local kept = memc:set_keepalive(5000, 3)
        local closed = select(3, memc:get("x"))
        memc:connect("127.0.0.1", port)
        return kept, closed, memc:get_reused_times(), memc:close(), memc:close()
    """
    assert run(code) == [1, "closed", 1, 1, None, "closed"]


def test_an_answer_that_comes_too_late_is_not_taken_for_another(
    console: LuaConsole, upstream: Callable[..., Any]
) -> None:
    def script(conversation: Conversation) -> None:
        while conversation.socket.recv(100):
            pass

    code = f"""
        local memc = require("resty.memcached"):new()
        memc:set_timeout(50)
        memc:connect("127.0.0.1", {upstream(script).port})
        return select(3, memc:get("a")), select(3, memc:get("b"))
    """
    assert console.run(code) == ["timeout", "closed"]
