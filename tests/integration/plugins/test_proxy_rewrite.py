"""The plugin proxy-rewrite: URI, method and host that upstreams get; what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from support.gateway import Gateway


def rewrite(gateway: Gateway, conf: dict[str, Any]) -> str:
    """The path of a route with this configuration."""
    return gateway.route({"proxy-rewrite": conf})


def target(gateway: Gateway, request_target: str) -> str:
    """Ask, and return the request target that the upstream got."""
    answer = gateway.ask(request_target)
    assert answer.status == 200, answer.text
    return gateway.upstream.last.target


# uri


def test_uri(gateway: Gateway) -> None:
    path = rewrite(gateway, {"uri": "/new"})
    assert target(gateway, path) == "/new"
    assert target(gateway, f"{path}/below?a=1&b=%20") == "/new?a=1&b=%20"


def test_uri_with_a_query_of_its_own(gateway: Gateway) -> None:
    path = rewrite(gateway, {"uri": "/new?x=1"})
    assert target(gateway, path) == "/new?x=1"
    assert target(gateway, f"{path}?a=2") == "/new?x=1&a=2"


def test_uri_with_variables(gateway: Gateway) -> None:
    path = rewrite(gateway, {"uri": "/$arg_name/${arg_missing ?? none}/$uri"})
    assert target(gateway, f"{path}?name=x") == f"/x/none/{path}?name=x"


def test_variables_cannot_begin_a_query_nor_a_line(gateway: Gateway) -> None:
    path = rewrite(gateway, {"uri": "/to$uri"})
    assert target(gateway, f"{path}/a%3Fb=1") == f"/to{path}/a%253Fb=1"
    assert target(gateway, f"{path}/a%0d%0aHost:%20evil") == f"/to{path}/a%0D%0AHost:%20evil"


def test_control_characters_in_the_query_of_uri_are_escaped(gateway: Gateway) -> None:
    path = rewrite(gateway, {"uri": "/x?from=$uri"})
    assert target(gateway, f"{path}/%0d%0a") == f"/x?from={path}/%0D%0A"


def test_what_a_path_cannot_hold_is_escaped(gateway: Gateway) -> None:
    path = rewrite(gateway, {"uri": "/a b/ü"})
    assert target(gateway, path) == "/a%20b/%C3%BC"


# regex_uri


def test_regex_uri(gateway: Gateway) -> None:
    path = rewrite(gateway, {"regex_uri": ["^/r\\d+/(.*)/(.*)", "/$2/${1}x"]})
    assert target(gateway, f"{path}/one/two?q=1") == "/two/onex?q=1"


def test_regex_uri_that_does_not_match_changes_nothing(gateway: Gateway) -> None:
    path = rewrite(gateway, {"regex_uri": ["^/other/(.*)", "/$1"]})
    assert target(gateway, f"{path}/a%20b?q=1") == f"{path}/a%20b?q=1"


def test_the_first_of_several_patterns_that_matches(gateway: Gateway) -> None:
    patterns = ["/aaa/(.*)", "/first/$1", "/bbb/(.*)", "/second/$1", "/bbb/x", "/third"]
    path = rewrite(gateway, {"regex_uri": patterns})
    assert target(gateway, f"{path}/aaa/1") == f"{path}/first/1"
    assert target(gateway, f"{path}/bbb/x") == f"{path}/second/x"


def test_regex_uri_that_makes_a_query(gateway: Gateway) -> None:
    path = rewrite(gateway, {"regex_uri": ["^/r\\d+/(\\w+)$", "/find?name=$1"]})
    assert target(gateway, f"{path}/me") == "/find?name=me"
    assert target(gateway, f"{path}/me?a=1") == "/find?name=me&a=1"


def test_a_question_mark_of_the_path_stays_one_of_the_path(gateway: Gateway) -> None:
    path = rewrite(gateway, {"regex_uri": ["^/r\\d+/(.*)", "/$1"]})
    assert target(gateway, f"{path}/a%3Fb") == "/a%3Fb"


def test_uri_wins_over_regex_uri(gateway: Gateway) -> None:
    path = rewrite(gateway, {"uri": "/uri", "regex_uri": [".*", "/regex"]})
    assert target(gateway, path) == "/uri"


def test_without_either_the_path_stays(gateway: Gateway) -> None:
    path = rewrite(gateway, {"host": "x.com"})
    assert target(gateway, f"{path}/a%20b/%E4?x=%41") == f"{path}/a%20b/%E4?x=%41"


# use_real_request_uri_unsafe


@pytest.mark.parametrize("tail", ["/a%2Fb/%2E%2e/./c//d?x=%41?y", "?only=query", ""])
def test_the_uri_as_it_was_sent(gateway: Gateway, tail: str) -> None:
    path = rewrite(gateway, {"use_real_request_uri_unsafe": True})
    assert target(gateway, path + tail) == path + tail


def test_otherwise_the_uri_is_normalized(gateway: Gateway) -> None:
    path = rewrite(gateway, {"use_real_request_uri_unsafe": False, "host": "x.com"})
    assert target(gateway, f"{path}/x/../a%41//b") == f"{path}/aA/b"


def test_uri_takes_the_query_that_was_sent(gateway: Gateway) -> None:
    conf = {"uri": "/new", "use_real_request_uri_unsafe": True}
    path = rewrite(gateway, conf)
    assert target(gateway, f"{path}?a=b?c=%20'") == "/new?a=b?c=%20'"
    path = rewrite(gateway, {**conf, "uri": "/new?own=1"})
    assert target(gateway, f"{path}?a=b") == "/new?own=1&a=b"
    assert target(gateway, path) == "/new?own=1"


def test_regex_uri_sees_what_was_sent(gateway: Gateway) -> None:
    conf = {"regex_uri": ["^/r\\d+/(.*)", "/$1"], "use_real_request_uri_unsafe": True}
    assert target(gateway, rewrite(gateway, conf) + "/a%2Fb?x=1") == "/a%2Fb?x=1"


# method, host


METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "HEAD")
METHODS += ("MKCOL", "COPY", "MOVE", "PROPFIND", "LOCK", "UNLOCK")


@pytest.mark.parametrize("method", METHODS)
def test_method(gateway: Gateway, method: str) -> None:
    path = rewrite(gateway, {"method": method})
    gateway.ask(path, method="POST", body=b"data")
    assert gateway.upstream.last.method == method


def test_host(gateway: Gateway) -> None:
    gateway.ask(rewrite(gateway, {"host": "other.com"}))
    assert gateway.upstream.last.headers.get("Host") == "other.com"
    gateway.ask(rewrite(gateway, {"host": "other.com:8443"}))
    assert gateway.upstream.last.headers.get("Host") == "other.com:8443"
    gateway.ask(rewrite(gateway, {"uri": "/x"}))
    assert gateway.upstream.last.headers.get("Host") == "test.com"


# with others


def test_later_plugins_see_what_was_rewritten(gateway: Gateway) -> None:
    function = """return function(_, ctx)
        local core = require "apisix.core"
        core.response.set_header("X-Seen", core.request.header(ctx, "X-A"), "X-Uri", ngx.var.uri,
            "X-Upstream-Uri", ctx.var.upstream_uri, "X-Method", core.request.get_method())
    end"""
    conf = {"uri": "/new", "headers": {"set": {"X-A": "new"}}, "method": "PUT"}
    path = gateway.route(
        {"proxy-rewrite": conf, "serverless-pre-function": {"functions": [function]}}
    )
    answer = gateway.ask(f"{path}?q=1", {"X-A": "old"})
    assert answer.headers.get("X-Seen") == "new"
    assert answer.headers.get("X-Uri") == "/new"
    assert answer.headers.get("X-Upstream-Uri") == "/new?q=1"
    assert answer.headers.get("X-Method") == "PUT"


def test_captures_are_a_variable_for_other_plugins(gateway: Gateway) -> None:
    function = """return function(_, ctx)
        ngx.header["X-Captured"] = ctx.var.proxy_rewrite_regex_uri_captures[1]
    end"""
    plugins = {
        "proxy-rewrite": {"regex_uri": ["^/r\\d+/(\\w+)", "/$1"]},
        "serverless-pre-function": {"functions": [function]},
    }
    assert gateway.ask(gateway.route(plugins) + "/me").headers.get("X-Captured") == "me"


# refused configurations


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"uri": "new"}, 'property "uri" validation failed: failed to match pattern'),
        (
            {"uri": ""},
            'property "uri" validation failed: string too short, expected at least 1, got 0',
        ),
        ({"uri": "/" + "x" * 4096}, 'property "uri" validation failed: string too long'),
        (
            {"method": "GETS"},
            'property "method" validation failed: matches none of the enum values',
        ),
        ({"host": "a b"}, 'property "host" validation failed: failed to match pattern'),
        ({"host": "a.com:"}, 'property "host" validation failed: failed to match pattern'),
        (
            {"regex_uri": ["x"]},
            'property "regex_uri" validation failed: expect array to have at least 2',
        ),
        ({"regex_uri": ["a", "b", "c"]}, "The length of regex_uri should be an even number"),
        ({"regex_uri": ["^/(.*", "/"]}, "invalid regex_uri(^/(.*, /): "),
        ({"regex_uri": ["^/(.*)", "/$s"]}, "invalid regex_uri(^/(.*), /$s): "),
        ({"headers": {"X: Y": "1"}}, "invalid field character in header"),
        ({"headers": {"X\tY": "1"}}, "invalid field character in header"),
        ({"headers": {"X-Y": "a\r\nb"}}, "invalid value character in header"),
        ({"headers": {"X-Y": True}}, 'property "headers" validation failed'),
        ({"headers": {"set": {}}}, 'property "headers" validation failed'),
        ({"headers": {"remove": ["a:"]}}, 'property "headers" validation failed'),
        ({"headers": {"set": {"A": []}}}, 'property "headers" validation failed'),
        (
            {"use_real_request_uri_unsafe": 1},
            'property "use_real_request_uri_unsafe" validation failed',
        ),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"proxy-rewrite": conf})
    assert f"failed to check the configuration of plugin proxy-rewrite err: {reason}" in log
