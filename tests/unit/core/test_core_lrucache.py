"""apisix.core.lrucache: versions, stale entries, remembered failures, keys of plugins."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]

# make(x) counts its calls; wait(s) moves the time that the caches see.
HEAD = """
    local clock = require("server.clock")
    local ffi = require("ffi")
    local cell = ffi.new("double[2]", {1000, 1000})
    keep_cell = cell
    clock.attach(tonumber(ffi.cast("intptr_t", cell)), function() end)
    local function wait(seconds) cell[0], cell[1] = cell[0] + seconds, cell[1] + seconds end
    local lrucache = require("apisix.core.lrucache")
    local made = 0
    local function make(x) made = made + 1 return {x = x, n = made} end
"""


def test_an_object_is_made_once_per_version(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        local get = lrucache.new()
        local a, b = get("k", 1, make, "x"), get("k", 1, make, "y")
        local c = get("k", 2, make, "z")
        return a == b, a.x, c.x, made
    """
    )
    assert run_lua(code) == (True, "x", "z", 2)


def test_an_object_too_old_is_used_on_while_its_version_is_the_same(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        local get = lrucache.new({ttl = 10})
        local a = get("k", 1, make)
        wait(11)
        local b = get("k", 1, make)
        wait(11)
        return a == b, get("k", 2, make) ~= a, made
    """
    )
    assert run_lua(code) == (True, True, 2)


def test_invalid_stale_makes_an_object_too_old_anew(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        local get = lrucache.new({ttl = 10, invalid_stale = true})
        local a = get("k", 1, make)
        wait(11)
        return get("k", 1, make) ~= a, made
    """
    )
    assert run_lua(code) == (True, 2)


def test_plugin_caches_hold_eight_objects_by_default(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        local get = lrucache.new({type = "plugin"})
        for i = 1, 9 do get("k" .. i, 1, make) end
        get("k9", 1, make)
        get("k1", 1, make)
        return made
    """
    )
    assert run_lua(code) == 10


def test_false_is_an_object_and_nil_is_a_failure(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        local get = lrucache.new()
        local calls = 0
        local function none() calls = calls + 1 return nil, "why" end
        local function no() calls = calls + 1 return false end
        local object, err = get("a", 1, none)
        get("a", 1, none)
        get("b", 1, no)
        return object, err, get("b", 1, no), calls
    """
    )
    assert run_lua(code) == (None, "why", False, 3)


def test_a_failure_is_remembered_for_neg_ttl(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        local get = lrucache.new({neg_ttl = 5, neg_count = 8})
        local calls = 0
        local function fail() calls = calls + 1 return nil, "why" .. calls end
        get("k", 1, fail)
        local _, err = get("k", 1, fail)
        get("k", 2, fail)
        wait(6)
        local _, later = get("k", 2, fail)
        return err, later, calls
    """
    )
    assert run_lua(code) == ("why1", "why3", 3)


def test_plugin_keys_name_the_configuration(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        local ctx = {conf_type = "route&service", conf_id = "r&s", conf_version = "1&2"}
        local get = lrucache.new({type = "plugin"})
        local a = lrucache.plugin_ctx(get, ctx, nil, make, "x")
        local b = lrucache.plugin_ctx(get, ctx, "extra", make, "y")
        return lrucache.plugin_ctx_id(ctx), lrucache.plugin_ctx_id(ctx, "extra"), a.x, b.x,
               lrucache.plugin_ctx(get, ctx, nil, make) == a
    """
    )
    assert run_lua(code) == ("route&service#r&s#1&2", "route&service#r&s#extra#1&2", "x", "y", True)


def test_an_error_of_the_creator_reaches_the_caller(run_lua: Run) -> None:
    ok, message = run_lua(
        HEAD + 'return pcall(lrucache.new(), "k", 1, function() error("x", 0) end)'
    )
    assert (ok, message) == (False, "x")
