"""Declaring dictionaries, and what happens when their memory runs out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pygw.vm.runtime import create_runtime

Ask = Callable[[str], list[Any]]

FILL = """
local filled = 0
repeat
    filled = filled + 1
    local ok = d:safe_set(("%04d"):format(filled), 1)
until not ok
return filled - 1
"""


def test_declared_dictionaries_are_what_ngx_shared_holds(lua: Any, ask: Ask) -> None:
    lua.execute('require("ngx.shdict").declare("cats", 12288)')
    assert sorted(lua.eval("ngx.shared").keys()) == ["cats", "dogs"]
    assert ask("ngx.shared.cats:capacity()") == [12288]
    assert ask("ngx.shared.birds") == [None]


def test_declaring_again_keeps_the_contents(ask: Ask) -> None:
    ask("d:set('k', 1)")
    assert ask("require('ngx.shdict').declare('dogs', 32 * 1024):get('k')") == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'dogs', 64 * 1024", 'lua_shared_dict "dogs" is already defined with size 32768'),
        ("'x', 12287", 'invalid lua shared dict size "12287" of "x": at least 12288 bytes'),
        ("'x', '1m'", 'invalid lua shared dict size "1m" of "x": at least 12288 bytes'),
        ("'', 65536", 'invalid lua shared dict name ""'),
    ],
)
def test_bad_declarations_raise(ask: Ask, arguments: str, message: str) -> None:
    ok, error = ask(f"pcall(require('ngx.shdict').declare, {arguments})")
    assert not ok
    assert error.endswith(message)


def test_two_dictionaries_share_nothing(lua: Any, ask: Ask) -> None:
    lua.execute('e = require("ngx.shdict").declare("cats", 12288)')
    ask("d:set('k', 1)")
    assert ask("e:get('k')") == [None]


def test_a_full_dictionary_evicts_the_least_recently_used(lua: Any, ask: Ask) -> None:
    filled = lua.execute(FILL)
    assert ask("d:safe_set('more', 1)") == [False, "no memory", False]
    assert ask("d:safe_add('more', 1)") == [False, "no memory", False]
    ask("d:get('0001')")
    assert ask("d:set('more', 1)") == [True, None, True]
    assert ask("d:get('0001'), d:get('0002')") == [1, None]
    assert ask("#d:get_keys(0)") == [filled]
    assert ask("d:incr('count', 1, 0)") == [1, None, True]
    assert ask("d:get('0003')") == [None]


def test_expired_entries_make_room_without_force(lua: Any, ask: Ask, clock: Any) -> None:
    ask("d:set('old', 1, 1)")
    lua.execute(FILL)
    clock.advance(1)
    assert ask("d:safe_set('more', 1)") == [True, None, False]


def test_overwriting_with_the_same_size_needs_no_memory(lua: Any, ask: Ask) -> None:
    lua.execute(FILL)
    assert ask("d:safe_set('0001', 2)") == [True, None, False]
    assert ask("d:safe_set('0001', ('v'):rep(100))") == [
        False, "no memory", False,
    ]  # fmt: skip
    assert ask("d:get('0001')") == [None]  # the old value had to go first


def test_no_more_than_30_entries_are_evicted_for_one(lua: Any, ask: Ask) -> None:
    filled = lua.execute(FILL)
    assert ask("d:set('huge', ('v'):rep(32 * 1024))") == [False, "no memory", True]
    assert ask("#d:get_keys(0)") == [filled - 30]


def test_an_empty_dictionary_evicts_nobody_for_what_never_fits(ask: Ask) -> None:
    assert ask("d:set('huge', ('v'):rep(32 * 1024))") == [False, "no memory", False]
    assert ask("d:incr(('k'):rep(40000), 1, 0)") == [None, "no memory"]


def test_free_space_counts_whole_pages(ask: Ask) -> None:
    (empty,) = ask("d:free_space()")
    assert empty % 4096 == 0
    ask("d:set('k', ('v'):rep(100))")
    assert ask("d:free_space()") == [empty - 4096]
    ask("d:set('l', ('v'):rep(100))")
    assert ask("d:free_space()") == [empty - 4096]
    ask("d:set('m', ('v'):rep(9000))")
    assert ask("d:free_space()") == [empty - 4 * 4096]
    ask("d:delete('k'), d:delete('l'), d:delete('m')")
    assert ask("d:free_space()") == [empty]


def test_any_sequence_of_operations_gives_its_memory_back(lua: Any, ask: Ask) -> None:
    (empty,) = ask("d:free_space()")
    lua.execute("""
        math.randomseed(7)
        local random = math.random
        for _ = 1, 20000 do
            local key, kind = "k" .. random(300), random(7)
            if kind == 1 then d:delete(key)
            elseif kind == 2 then d:incr(key, 1, 0)
            elseif kind == 3 then d:lpush(key, ("v"):rep(random(100)))
            elseif kind == 4 then d:rpop(key)
            else d:set(key, ("v"):rep(random(3000)), random() < 0.5 and 10 or nil) end
        end
    """)
    assert ask("#d:get_keys(0) > 0") == [True]
    ask("d:flush_all(), d:flush_expired()")
    assert ask("d:free_space()") == [empty]


def test_a_finalizer_may_delete_while_entries_are_made(lua: Any, ask: Ask) -> None:
    """resty.lock gives keys back when collected, which may be in the middle of any operation."""
    lua.execute("""
        local newest = ""
        local holder = require("ffi").metatype("struct { int number; }", {
            __gc = function() d:delete(newest) end,
        })
        local values = {}
        for i = 1, 50 do values[i] = ("v"):rep(i * 20) end
        for i = 1, 100000 do
            holder(i)
            newest = "newest" .. i % 100
            d:set(newest, true)
            d:set("k" .. i % 100, values[i % 50 + 1])
        end
    """)
    keys = list(lua.eval("d:get_keys(0)").values())
    assert keys
    assert [key for key in keys if lua.eval(f"d:get('{key}')") is None] == []


CLOSING = """
local path = ...
local dict = require("ngx.shdict").declare("huge", 1024 * 1024 * 1024)
dict:set("k", "v")
local function note(...)
    local file = io.open(path, "a")
    file:write(tostring(select(-1, ...)), "\\n")
    file:close()
end
local function finalized(fn)
    local object = newproxy(true)
    getmetatable(object).__gc = fn
    return object
end
kept = finalized(function()
    note((dict:get("k")))
    finalized(function() note(pcall(dict.get, dict, "k")) end) -- whose turn comes when all is over
end)
"""


def mapped() -> int:
    """MiB of the address space that are in use."""
    sizes = re.findall(r"^Size: +(\d+) kB", Path("/proc/self/smaps").read_text(), re.M)
    return sum(map(int, sizes)) // 1024


def test_finalizers_have_the_memory_of_dictionaries_until_it_is_given_back(tmp_path: Path) -> None:
    before, notes = mapped(), tmp_path / "notes"
    lua = create_runtime()
    lua.execute(CLOSING, str(notes))
    assert mapped() - before > 1000
    del lua
    assert notes.read_text() == 'v\nbad "zone" argument\n'
    assert mapped() - before < 100
