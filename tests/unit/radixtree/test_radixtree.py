"""What lua-resty-radixtree documents, case by case."""

from typing import Any

import pytest


@pytest.fixture
def match(lua: Any) -> Any:
    """Build a router from Lua source and match one path: (metadata, captured names)."""

    def run(routes: str, path: str, opts: str = "{}", router_opts: str = "nil") -> Any:
        metadata, matched = lua.execute(
            f"local router = require('resty.radixtree').new({routes}, {router_opts})\n"
            f"local opts = {opts}\n"
            "opts.matched = {}\n"
            f"return router:match({path!r}, opts), opts.matched"
        )
        return metadata, dict(matched)

    return run


ORDER = """{
  {paths = "/aa", metadata = "exact"},
  {paths = "/aa*", metadata = "short"},
  {paths = "/aa/bb/*", metadata = "long"},
  {paths = "/*", metadata = "root"},
}"""


@pytest.mark.parametrize(
    ("path", "winner"),
    [
        ("/aa", "exact"),
        ("/aab", "short"),
        ("/aa/bb/c", "long"),
        ("/aa/bb", "short"),
        ("/x", "root"),
        ("x", None),
    ],
)
def test_exact_path_wins_then_longest_prefix(match: Any, path: str, winner: str | None) -> None:
    assert match(ORDER, path)[0] == winner


def test_priority_decides_among_routes_of_one_path(match: Any) -> None:
    routes = """{{paths = "/a*", metadata = "low"}, {paths = "/a*", metadata = "same"},
                 {paths = "/a*", metadata = "high", priority = 9}}"""
    assert match(routes, "/a/b")[0] == "high"


def test_a_longer_prefix_wins_over_a_higher_priority(match: Any) -> None:
    routes = """{{paths = "/a*", metadata = "short", priority = 9},
                 {paths = "/a/b*", metadata = "long"}}"""
    assert match(routes, "/a/bc")[0] == "long"


def test_equal_routes_are_tried_in_order_of_age(match: Any) -> None:
    assert match('{{paths = "/a", metadata = 1}, {paths = "/a", metadata = 2}}', "/a")[0] == 1


def test_order_decides_before_age(match: Any) -> None:
    routes = '{{paths = "/a", metadata = 1, order = 7}, {paths = "/a", metadata = 2, order = 3}}'
    assert match(routes, "/a")[0] == 2


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        ("/name/*name", "/name/json", {"name": "json"}),
        ("/name/*name", "/name/", {"name": ""}),
        ("/name/*name", "/name", None),
        ("/name/*", "/name/json/foo", {":ext": "json/foo"}),
        ("/name*", "/names/x", {}),
        ("/name/:name/id/:id", "/name/json/id/1", {"name": "json", "id": "1"}),
        ("/name/:name/id/:id", "/name/json/id/", None),
        ("/name/:name/id/:id", "/name/json/id/1/", None),
        ("/name/:name/id/:id/*other", "/name/a/id/1/x/y", {"name": "a", "id": "1", "other": "x/y"}),
        ("/name/:name/id/:id/*other", "/name/a/id/1", None),
        ("/:name/foo", "/json/foo", {"name": "json"}),
        ("/name/:name/", "/name/json/", {"name": "json"}),
        ("/name/:name/", "/name/json", None),
        ("/file/:f", "/file/t!e*s't,(file)", {"f": "t!e*s't,(file)"}),
        ("/name/:name/id", "/name/json%20space/id", {"name": "json%20space"}),
        ("/a/:x/b.c", "/a/1/bXc", None),
        ("/a/*x/b", "/a/1/2/b", {"x": "1/2"}),
        ("/a/:x/nodes/?", "/a/1/nodes/", {"x": "1"}),
        ("/a/:x/nodes/?", "/a/1/nodes", {"x": "1"}),
        ("/user:name", "/userjack", {}),
    ],
)
def test_parameters_capture_segments(
    match: Any, pattern: str, path: str, names: dict[str, str] | None
) -> None:
    metadata, matched = match(f'{{{{paths = "{pattern}", metadata = 1}}}}', path)
    if names is None:
        assert (metadata, matched) == (None, {})
    else:
        assert (metadata, matched) == (1, {"_path": pattern, **names})


def test_without_parameters_a_colon_stands_for_itself(match: Any) -> None:
    routes = '{{paths = "/name/:name/id", metadata = 1}}'
    opts = "{no_param_match = true}"
    assert match(routes, "/name/a/id", router_opts=opts)[0] is None
    assert match(routes, "/name/:name/id", router_opts=opts)[0] == 1


SHARED_PREFIX = """{
  {paths = "/api/:v/t/projects/:p/clusters/:c/nodes/?", metadata = "long"},
  {paths = "/api/:v/t/projects/:p", metadata = "medium"},
  {paths = "/api/:v/t/*sub", metadata = "short"},
}"""


@pytest.mark.parametrize(
    ("path", "winner"),
    [
        ("/api/4/t/projects/s/clusters/1/nodes/", "long"),
        ("/api/4/t/x", "short"),
        ("/api/4/t/projects/s", "medium"),
    ],
)
def test_the_longest_pattern_of_a_prefix_is_tried_first(match: Any, path: str, winner: str) -> None:
    assert match(SHARED_PREFIX, path)[0] == winner


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("foo.com", "foo.com"),
        ("FOO.com", "foo.com"),
        ("www.bar.com", "*.bar.com"),
        ("bar.com", None),
        ("a.b.bar.com", "*.bar.com"),
        ("x.com", None),
        ("b:80", None),
    ],
)
def test_hosts(match: Any, host: str, shown: str | None) -> None:
    routes = '{{paths = "/*", hosts = {"Foo.com", "*.bar.com"}, metadata = 1}}'
    metadata, matched = match(routes, "/", f'{{host = "{host}"}}')
    assert metadata == (1 if shown else None)
    assert matched.get("_host") == shown


def test_a_host_with_a_port_is_compared_with_the_host_field(match: Any) -> None:
    routes = '{{paths = "/", hosts = {"a.com:9080"}, metadata = 1}}'
    assert match(routes, "/", '{host = "a.com", vars = {http_host = "a.com:9080"}}')[0] == 1
    assert match(routes, "/", '{host = "a.com", vars = {http_host = "a.com:1"}}')[0] is None


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        ('methods = {"GET", "POST"}', '{method = "POST"}', '{method = "PUT"}'),
        ('methods = "GET"', '{method = "GET"}', "{}"),
        (
            'remote_addrs = {"10.0.0.0/8", "::1"}',
            '{remote_addr = "10.9.8.7"}',
            '{remote_addr = "11.0.0.1"}',
        ),
        ('remote_addrs = "::1"', '{remote_addr = "::1"}', '{remote_addr = "nonsense"}'),
        ('vars = {{"arg_n", "==", "json"}}', '{vars = {arg_n = "json"}}', "{vars = {}}"),
        ("filter_fun = function(vars) return vars.x == 1 end", "{vars = {x = 1}}", "{vars = {}}"),
    ],
)
def test_conditions(match: Any, condition: str, yes: str, no: str) -> None:
    routes = (
        f'{{{{paths = "/*", metadata = "fallback"}}, {{paths = "/a*", metadata = 1, {condition}}}}}'
    )
    assert match(routes, "/a", yes)[0] == 1
    assert match(routes, "/a", no)[0] == "fallback"


def test_matched_tells_method_and_path(match: Any) -> None:
    _, matched = match('{{paths = {"/x", "/a*"}, metadata = 1}}', "/ab", '{method = "GET"}')
    assert matched == {"_path": "/a*", "_method": "GET"}


def test_dispatch_hands_its_arguments_to_filter_and_handler(run_lua: Any) -> None:
    result = run_lua("""
        local seen = {}
        local router = require("resty.radixtree").new({{
            paths = "/a*",
            filter_fun = function(vars, opts, x, y) seen.filter = x .. y return true end,
            handler = function(x, y) seen.handler = x .. y end,
        }})
        local ok = router:dispatch("/ab", {vars = {}}, "1", "2")
        return ok, seen.filter, seen.handler, router:dispatch("/b")
    """)
    assert tuple(result) == (True, "12", "12", None)


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ("{metadata = 1}", "invalid argument path"),
        ("{paths = {7}, metadata = 1}", "invalid argument path"),
        ('{paths = "/"}', "missing argument metadata or handler"),
        ('{paths = "/", metadata = 1, vars = "x"}', "invalid argument vars"),
        ('{paths = "/", metadata = 1, vars = {{1}}}', "failed to handle expression: "),
        ('{paths = "/", metadata = 1, remote_addrs = {"x"}}', "invalid IP address: "),
    ],
)
def test_an_invalid_route_is_refused(match: Any, route: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        match(f"{{{route}}}", "/")


def test_no_routes_at_all(lua: Any) -> None:
    assert tuple(lua.eval('require("resty.radixtree").new()')) == (None, "missing argument route")


def test_routes_come_and_go_one_by_one(run_lua: Any) -> None:
    assert list(
        run_lua("""
        local router = require("resty.radixtree").new({})
        local first = {paths = {"/a*", "/x/:y"}, metadata = 1, id = "1"}
        local second = {paths = "/a/b*", metadata = 2, id = "2"}
        local got = {}
        local function ask()
            got[#got + 1] = tostring(router:match("/a/bc")) .. tostring(router:match("/x/1"))
        end
        ask()
        router:add_route(first) ask()
        router:add_route(second) ask()
        router:update_route(second, {paths = "/a/b*", metadata = 3, id = "2"}) ask()
        router:delete_route({paths = "/a/b*", id = "2"}) ask()
        router:delete_route(first) ask()
        return table.concat(got, " "), router.size
    """)
    ) == ["nilnil 11 21 31 11 nilnil", 0]


def test_removing_all_routes_leaves_nothing_behind(run_lua: Any) -> None:
    assert run_lua("""
        local router = require("resty.radixtree").new({})
        local routes = {}
        for i = 1, 200 do
            routes[i] = {paths = {"/p" .. i .. "/*", "/" .. i % 7 .. "/:a/" .. i}, metadata = i}
            router:add_route(routes[i])
        end
        for i = 1, 200 do router:delete_route(routes[i * 77 % 200 + 1]) end
        return next(router.exact) == nil and router.segments.param == nil
            and next(router.segments.literal) == nil
            and (router.prefixes.children == nil or next(router.prefixes.children) == nil)
    """)


def test_a_match_may_be_suspended_while_routes_change(run_lua: Any) -> None:
    assert run_lua("""
        local router = require("resty.radixtree").new({})
        local slow = {paths = "/a*", priority = 1, metadata = 1, filter_fun = function()
            coroutine.yield() return false end}
        local other = {paths = "/a*", metadata = 2}
        router:add_route(slow)
        router:add_route(other)
        router:add_route({paths = "/:x/y", metadata = 3})
        local ask = coroutine.wrap(function() return router:match("/ab", {vars = {}}) end)
        ask()
        router:delete_route(slow)
        return router:match("/q/y") == 3 and ask() == 2
    """)
