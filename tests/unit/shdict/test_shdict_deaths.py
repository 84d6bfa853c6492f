"""An operation that ends at any of its stores leaves a dictionary that can be mended."""

from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).parents[2] / "support"

# Nearly full, with an entry of each kind, the oldest one first; "x…" have expired. What is free is
# full of words that could be the beginnings of entries.
FILL = """
    assert(d:set("junk", ("\\20\\0\\0\\0"):rep(8000)))
    d:delete("junk")
    d:set("x1", "expired", 0.001)
    d:set("old", ("o"):rep(100))
    d:set("number", 1, 0, 3)
    d:set("flag", true)
    d:set("text", ("t"):rep(200), 50)
    d:set("large", ("l"):rep(5000))
    for i = 1, 3 do d:rpush("list", "item " .. i) end
    d:rpush("single", 1.5)
    d:rpush("long", ("i"):rep(3000))
    d:rpush("xlist", "a")
    d:rpush("xlist", 2)
    d:expire("xlist", 0.001)
    d:set("xlarge", ("x"):rep(5000), 0.001)
    d:set("young", "y")
"""

# name: operation, the key that it uses ("*": it makes all of them expire)
OPERATIONS = {
    "reading": ("d:get('text')", "text"),
    "reading what has expired": ("d:get('xlarge')", "xlarge"),
    "a new string": ("d:set('new', 'value', 5, 7)", "new"),
    "a new number": ("d:add('new', 2)", "new"),
    "a new large one": ("d:safe_set('new', ('n'):rep(4000))", "new"),
    "one that evicts": ("d:set('new', ('n'):rep(9000))", "new"),
    "one for which there is no room": ("d:set('new', ('n'):rep(100000))", "new"),
    "another string as long": ("d:set('text', ('u'):rep(200), 9, 9)", "text"),
    "a number for a number": ("d:set('number', 7, 5, 5)", "number"),
    "a longer string": ("d:set('text', ('u'):rep(700))", "text"),
    "a large string as long": ("d:set('large', ('m'):rep(5000), 1, 1)", "large"),
    "a shorter one for a large one": ("d:replace('large', 'small')", "large"),
    "a value for a list": ("d:set('list', 1)", "list"),
    "a value for what has expired": ("d:add('xlarge', false)", "xlarge"),
    "removal": ("d:delete('old')", "old"),
    "removal of a large one": ("d:delete('large')", "large"),
    "removal of a list": ("d:delete('list')", "list"),
    "counting": ("d:incr('number', 5)", "number"),
    "counting from the start": ("d:incr('new', 5, 1, 10)", "new"),
    "counting on what has expired": ("d:incr('x1', 5, 1)", "x1"),
    "a list's item on the left": ("d:lpush('list', 'more')", "list"),
    "a list's item on the right": ("d:rpush('list', 4.5)", "list"),
    "a list's first item": ("d:lpush('new', 'first')", "new"),
    "an item for a list that has expired": ("d:rpush('xlist', 'again')", "xlist"),
    "an item for a value that has expired": ("d:rpush('xlarge', 'again')", "xlarge"),
    "an item for which there is no room": ("d:rpush('new', ('i'):rep(100000))", "new"),
    "an item taken from the left": ("d:lpop('list')", "list"),
    "an item taken from the right": ("d:rpop('list')", "list"),
    "a list's last item": ("d:lpop('single')", "single"),
    "a list's last item, a large one": ("d:rpop('long')", "long"),
    "a time to live": ("d:expire('old', 5)", "old"),
    "flushing everything": ("d:flush_all()", "*"),
    "removing what has expired": ("d:flush_expired()", None),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_death_at_any_store(lua: Any, clock: Any, name: str) -> None:
    operation, touched = OPERATIONS[name]
    lua.execute('d = require("ngx.shdict").declare("dogs", 48 * 1024)')
    lua.execute(FILL)
    clock.advance(1)
    die = lua.execute((SUPPORT / "shdict_deaths.lua").read_text())
    check = lua.execute((SUPPORT / "shdict_check.lua").read_text())
    stores = die(lua.eval("d"), lua.eval(f"function(d) {operation} end"), touched, check)
    assert stores > 0 or name == "reading what has expired"
