"""The plugin proxy-rewrite: header fields that upstreams get."""

from __future__ import annotations

from typing import Any

from support.gateway import Gateway

from pygw.testing.messages import Headers


def headers(gateway: Gateway, conf: dict[str, Any], *sent: tuple[str, str]) -> Headers:
    """The header fields that come of rewriting those that were sent."""
    assert (
        gateway.ask(gateway.route({"proxy-rewrite": {"headers": conf}}), list(sent)).status == 200
    )
    return gateway.upstream.last.headers


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
    path = gateway.route({"proxy-rewrite": conf})
    assert gateway.ask(f"{path}/one/two").status == 200
    seen = gateway.upstream.last.headers
    assert seen.get("X-A") == "two-one-"
    assert seen.all("X-B") == ["one", "test.com"]
    assert seen.get("X-C") == "two"


def test_captures_of_a_pattern_that_did_not_match_are_empty(gateway: Gateway) -> None:
    conf = {"regex_uri": ["^/no/(.*)", "/$1"], "headers": {"set": {"X-A": "<$1>"}}}
    assert gateway.ask(gateway.route({"proxy-rewrite": conf})).status == 200
    assert gateway.upstream.last.headers.get("X-A") == "<>"


def test_forwarding_headers_can_be_set(gateway: Gateway) -> None:
    conf = {"X-Forwarded-Host": "h.com", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"}
    seen = headers(gateway, {"set": conf})
    assert {name: seen.get(name) for name in conf} == conf


def test_the_headers_of_one_request_do_not_leak_into_the_next(gateway: Gateway) -> None:
    path = gateway.route({"proxy-rewrite": {"headers": {"add": {"X-A": "$arg_v"}}}})
    gateway.ask(f"{path}?v=1")
    gateway.ask(f"{path}?v=2")
    assert gateway.upstream.last.headers.all("X-A") == ["2"]
