"""apisix.core.table."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
HEAD = 'local t = require("apisix.core.table")\n'


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "local a = {1}; local n = t.insert_tail(a, 2, 3); return n, t.concat(a, ',')",
            (3, "1,2,3"),
        ),
        ("local a = {1, 2, 3}; t.set(a, 7, 8); return t.concat(a, ',')", "7,8,3"),
        ("return t.try_read_attr({a = {b = 1}}, 'a', 'b')", 1),
        ("return t.try_read_attr({a = 1}, 'a', 'b')", None),
        ("return t.try_read_attr(nil, 'a')", None),
        ("return t.array_find({'a', 'b'}, 'b')", 2),
        ("return t.array_find({'a'}, 'b')", None),
        ("return t.array_find('a', 'a')", None),
        ("return t.set_eq({a = 1}, {a = 2}), t.set_eq({a = 1}, {b = 1})", (True, False)),
        ("return t.deep_eq({a = {1, 2}}, {a = {1, 2}}), t.deep_eq({1}, {1, 2})", (True, False)),
        ("return t.pick({a = 1, b = 2}, {a = true}).b", None),
        ("return t.pick({a = 1, b = 2}, {a = true}).a", 1),
        (
            "return t.nkeys({1, a = 2}), t.isempty({}), t.isarray({1}), t.remove({5})",
            (2, True, True, 5),
        ),
        ("return t.deepcopy('x')", "x"),
    ],
)
def test_result(run_lua: Run, code: str, expected: Any) -> None:
    assert run_lua(HEAD + code) == expected


def test_deepcopy_copies_descendants_and_keeps_metatables_and_sharing(run_lua: Run) -> None:
    code = """
        local mt = {}
        local shared = {1}
        local orig = setmetatable({a = {b = {}}, x = shared, y = shared}, mt)
        orig.self = orig
        local copy = t.deepcopy(orig)
        return copy.a ~= orig.a, copy.a.b ~= orig.a.b, copy.x == copy.y, copy.x ~= shared,
               copy.self == copy, getmetatable(copy) == mt
    """
    assert run_lua(HEAD + code) == (True,) * 6


def test_deepcopy_shares_the_paths_it_is_told_to(run_lua: Run) -> None:
    code = """
        local orig = {value = {plugins = {a = {}}, plugins2 = {a = {}}}, other = {}}
        local one = t.deepcopy(orig, {shallows = {"self.other"}})
        local two = t.deepcopy(orig, {shallow_prefix = "self.value.plugins"})
        return one.other == orig.other, one.value ~= orig.value,
               two.value.plugins ~= orig.value.plugins, two.value.plugins.a == orig.value.plugins.a,
               two.value.plugins2.a ~= orig.value.plugins2.a
    """
    assert run_lua(HEAD + code) == (True,) * 5


def test_merge_is_recursive_replaces_arrays_and_deletes_by_null(run_lua: Run) -> None:
    code = """
        local m = t.merge({a = {b = 1, c = 2}, l = {1, 2}, gone = 1, s = "x"},
                          {a = {b = 9}, l = {3}, gone = ngx.null, s = {k = 1}})
        return m.a.b, m.a.c, #m.l, m.gone, m.s.k
    """
    assert run_lua(HEAD + code) == (9, 2, 1, None, 1)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("t.patch({a = {b = 1}}, 'a/b', 2)", "a.b=2"),
        ("t.patch({}, 'a/b', 2)", "a.b=2"),
        ("t.patch({}, '', {a = {b = 2}})", "a.b=2"),
    ],
)
def test_patch_puts_a_value_at_a_path(run_lua: Run, call: str, expected: str) -> None:
    code = f"local code, err, node = {call}; return code, err, 'a.b=' .. node.a.b"
    assert run_lua(HEAD + code) == (None, None, expected)


def test_patch_refuses_a_path_through_a_value(run_lua: Run) -> None:
    assert run_lua(HEAD + "return t.patch({a = 1}, 'a/b/c', 2)") == (400, "invalid sub-path: /a")


def test_gc_metamethod_of_a_table_runs(run_lua: Run) -> None:
    code = """
        local ran = false
        t.setmt__gc({}, {__gc = function() ran = true end})
        collectgarbage() collectgarbage()
        return ran
    """
    assert run_lua(HEAD + code) is True
