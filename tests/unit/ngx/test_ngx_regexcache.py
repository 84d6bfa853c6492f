"""The caches of compiled regexes: bounded, and what is used stays."""

from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]

# Counts the patterns that are alive.
COUNT = """
    local pcre, cache = require "ngx.api.pcre", require "ngx.api.regexcache"
    local compile, free, alive, most = pcre.compile, pcre.free, 0, 0
    function pcre.compile(...)
        alive = alive + 1
        most = math.max(most, alive)
        return compile(...)
    end
    function pcre.free(...)
        alive = alive - 1
        return free(...)
    end
"""


@pytest.mark.parametrize(("options", "limit"), [("jo", 1024), ("", 128)])
def test_there_are_never_more_than_the_limit(run_lua: RunLua, options: str, limit: int) -> None:
    code = """
        for i = 1, 5000 do
            assert(ngx.re.find("x" .. i, "x" .. i .. "$", ...))
        end
        return most
    """
    assert run_lua(COUNT + code, options.encode()) == limit


def test_a_regex_in_use_is_compiled_once(run_lua: RunLua) -> None:
    code = """
        local mine = cache.lookup("mine", "jo", 1)
        for i = 1, 5000 do
            cache.lookup("x" .. i, "jo", 1)
            assert(cache.lookup("mine", "jo", 1) == mine)
        end
        return ngx.re.find("mine", "mine", "jo")
    """
    assert run_lua(COUNT + code) == (1, 4)


def test_one_regex_under_many_options_is_counted_each_time(run_lua: RunLua) -> None:
    code = """
        local flags = { "i", "s", "m", "x", "a" }
        for i = 1, 1000 do
            for n, flag in ipairs(flags) do
                ngx.re.find("x", "x" .. i, flag .. "o")
            end
        end
        return most <= 1024, ngx.re.find("X1", "x1", "io")
    """
    assert run_lua(COUNT + code) == (True, 1, 2)


def test_regexes_without_o_do_not_push_out_those_with_it(run_lua: RunLua) -> None:
    code = """
        local mine = cache.lookup("mine", "o", 1)
        for i = 1, 5000 do
            ngx.re.find("x", "x" .. i)
        end
        return cache.lookup("mine", "o", 1) == mine
    """
    assert run_lua(COUNT + code)


def test_an_iterator_outlives_the_cache(run_lua: RunLua) -> None:
    code = """
        local it = ngx.re.gmatch("abc", ".", "jo")
        for i = 1, 5000 do
            ngx.re.find("x", "x" .. i, "jo")
        end
        collectgarbage()
        return it()[0], it()[0], it()[0], it()
    """
    assert run_lua(COUNT + code) == ("a", "b", "c", None)


def test_a_regex_given_as_a_number_stays_good(run_lua: RunLua) -> None:
    code = """
        for i = 1, 5000 do
            assert(ngx.re.find("7", 7, "o") == 1)
            ngx.re.find("x", "x" .. i, "o")
        end
        return most <= 1024
    """
    assert run_lua(COUNT + code)


def test_malformed_regexes_are_not_kept(run_lua: RunLua) -> None:
    code = """
        for i = 1, 300 do
            assert(not ngx.re.find("x", "(" .. i, "jo"))
        end
        return cache.is_empty()
    """
    assert run_lua(COUNT + code)
