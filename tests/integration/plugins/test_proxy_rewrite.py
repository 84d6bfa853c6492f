"""The plugin proxy-rewrite as upstreams meet it."""

from __future__ import annotations

from typing import Any

import pytest
from support.gateway import Gateway, Headers


def rewrite(gateway: Gateway, conf: dict[str, Any]) -> str:
    """The path of a route with this configuration."""
    return gateway.route({"proxy-rewrite": conf})


def target(gateway: Gateway, request_target: str) -> str:
    """Ask, and return the request target that the upstream got."""
    answer = gateway.ask(request_target)
    assert answer.status == 200, answer.text
    return gateway.upstream.last.target


def headers(gateway: Gateway, conf: dict[str, Any], *sent: tuple[str, str]) -> Headers:
    """The header fields that come of rewriting those that were sent."""
    assert gateway.ask(rewrite(gateway, {"headers": conf}), list(sent)).status == 200
    return gateway.upstream.last.headers


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


# headers


def test_names_and_values_are_set(gateway: Gateway) -> None:
    seen = headers(gateway, {"X-A": "new", "X-Number": 7}, ("X-A", "1"), ("x-a", "2"), ("X-B", "b"))
    assert seen.all("X-A") == ["new"]
    assert seen.get("X-Number") == "7"
    assert seen.get("X-B") == "b"


def test_an_empty_value_removes(gateway: Gateway) -> None:
    assert (
        headers(gateway, {"X-A": "", "X-B": "$absent"}, ("X-A", "1"), ("X-B", "1")).all("X-A") == []
    )
    assert gateway.upstream.last.headers.all("X-B") == []


def test_add(gateway: Gateway) -> None:
    seen = headers(gateway, {"add": {"X-A": "2", "X-New": 1}}, ("X-A", "1"))
    assert seen.all("X-A") == ["1", "2"]
    assert seen.all("X-New") == ["1"]


def test_set(gateway: Gateway) -> None:
    seen = headers(gateway, {"set": {"X-A": "2"}}, ("X-A", "1"), ("X-A", "1b"))
    assert seen.all("X-A") == ["2"]


def test_remove(gateway: Gateway) -> None:
    seen = headers(gateway, {"remove": ["x-a", "Absent"]}, ("X-A", "1"), ("X-A", "2"), ("X-B", "b"))
    assert seen.all("X-A") == []
    assert seen.get("X-B") == "b"


def test_several_values(gateway: Gateway) -> None:
    seen = headers(gateway, {"set": {"X-A": ["a", 2]}}, ("X-A", "1"))
    assert seen.all("X-A") == ["a", "2"]
    seen = headers(gateway, {"add": {"X-A": ["a", 2]}}, ("X-A", "1"))
    assert seen.all("X-A") == ["1", "a", "2"]


def test_first_add_then_set_last_remove(gateway: Gateway) -> None:
    both = {"add": {"X-A": "added"}, "set": {"X-A": "set"}}
    assert headers(gateway, both, ("X-A", "1")).all("X-A") == ["set"]
    assert headers(gateway, {**both, "remove": ["X-A"]}, ("X-A", "1")).all("X-A") == []


def test_values_with_variables(gateway: Gateway) -> None:
    conf = {"set": {"X-A": "$remote_addr $http_x_in", "X-None": "<$absent>", "X-Esc": "\\$uri"}}
    seen = headers(gateway, conf, ("X-In", "in"))
    assert seen.get("X-A") == "127.0.0.1 in"
    assert seen.get("X-None") == "<>"
    assert seen.get("X-Esc") == "\\$uri"


def test_values_with_captures(gateway: Gateway) -> None:
    conf = {
        "regex_uri": ["^/r\\d+/(\\w+)/(\\w+)", "/$1"],
        "headers": {"set": {"X-A": "$2-${1}-$9", "X-B": ["$1", "$host"]}, "add": {"X-C": "$2"}},
    }
    assert target(gateway, rewrite(gateway, conf) + "/one/two") == "/one"
    seen = gateway.upstream.last.headers
    assert seen.get("X-A") == "two-one-"
    assert seen.all("X-B") == ["one", "test.com"]
    assert seen.get("X-C") == "two"


def test_captures_of_a_pattern_that_did_not_match_are_empty(gateway: Gateway) -> None:
    conf = {"regex_uri": ["^/no/(.*)", "/$1"], "headers": {"set": {"X-A": "<$1>"}}}
    assert gateway.ask(rewrite(gateway, conf)).status == 200
    assert gateway.upstream.last.headers.get("X-A") == "<>"


def test_forwarding_headers_can_be_set(gateway: Gateway) -> None:
    conf = {"X-Forwarded-Host": "h.com", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"}
    seen = headers(gateway, {"set": conf})
    assert {name: seen.get(name) for name in conf} == conf


def test_the_headers_of_one_request_do_not_leak_into_the_next(gateway: Gateway) -> None:
    path = rewrite(gateway, {"headers": {"add": {"X-A": "$arg_v"}}})
    gateway.ask(f"{path}?v=1")
    gateway.ask(f"{path}?v=2")
    assert gateway.upstream.last.headers.all("X-A") == ["2"]


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
