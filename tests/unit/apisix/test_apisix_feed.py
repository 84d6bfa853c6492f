"""What a directory's reader is told of changes: each once, whatever the size of the directory."""

from collections.abc import Callable
from typing import Any

import pytest

DIRECTORY = """
local told = {}
local feed = require "apisix.http.feed" (
    function(item) told[#told + 1] = "+" .. item.key .. item.value end,
    function(item) told[#told + 1] = "-" .. item.key .. item.value end
)
local object = {values = {}, conf_version = 0}
local items = {}

local function event(key, value)
    local item = {key = key, value = value}
    for i = 1, #object.values do
        if object.values[i] and object.values[i].key == key then
            object.values[i] = value and item or false
            item.placed = true
        end
    end
    if value and not item.placed then
        table.insert(object.values, item)
    end
    feed:note(item)
    object.conf_version = object.conf_version + 1
end

local function reload(values)
    object.values = values
    object.conf_version = object.conf_version + 1
end

local function sync()
    feed:sync(object)
    local text = table.concat(told, " ")
    told = {}
    return text
end
"""


@pytest.fixture
def run(run_lua: Callable[..., Any]) -> Callable[[str], Any]:
    return lambda code: run_lua(DIRECTORY + code)


def test_a_change_is_told_once(run: Callable[[str], Any]) -> None:
    assert run("event('a', 1) event('b', 2) local first = sync() return #first, sync()") == (7, "")


def test_a_replaced_item_goes_and_comes(run: Callable[[str], Any]) -> None:
    assert run("event('a', 1) sync() event('a', 2) return sync()") == "-a1 +a2"


def test_only_the_last_of_several_changes_counts(run: Callable[[str], Any]) -> None:
    assert run("event('a', 1) sync() event('a', 2) event('a', 3) return sync()") == "-a1 +a3"


def test_a_deleted_item_goes(run: Callable[[str], Any]) -> None:
    assert run("event('a', 1) sync() event('a', nil) return sync()") == "-a1"


def test_what_came_and_went_in_between_is_never_told(run: Callable[[str], Any]) -> None:
    assert run("event('b', 1) sync() event('a', 1) event('a', nil) return sync()") == ""


def test_after_a_reload_only_differences_are_told(run: Callable[[str], Any]) -> None:
    code = """
    event('a', 1) event('b', 2) event('c', 3) sync()
    local kept = object.values[1]
    reload({kept, {key = 'c', value = 4}, false, {key = 'd', value = 5}})
    local told = sync()
    return told:find('-b2', 1, true) ~= nil, told:find('-c3 +c4 +d5', 1, true) ~= nil, #told
    """
    assert run(code) == (True, True, 15)


def test_one_change_costs_the_same_among_many_items_as_among_few(run: Callable[[str], Any]) -> None:
    """Counted in bytecode instructions, which no busy machine disturbs."""
    code = """
    jit.off()
    local function cost(n)
        for i = 1, n do event('k' .. i, i) end
        sync()
        local count = 0
        feed:note({key = 'k7', value = 8})
        object.conf_version = object.conf_version + 1
        debug.sethook(function() count = count + 1 end, "", 1)
        sync()
        debug.sethook()
        return count
    end
    local few, many = cost(10), cost(3000)
    jit.on()
    return few, many
    """
    few, many = run(code)
    assert few == many
