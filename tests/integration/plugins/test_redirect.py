"""The plugin redirect as clients meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["redirect"])


def ask(
    gateway: Gateway, conf: dict[str, Any], tail: str = "", **request: Any
) -> tuple[int, str | None]:
    """Status and Location of a request for what is at `tail` below a new route, now "/R"."""
    path = gateway.route({"redirect": conf})
    answer = gateway.ask(path + tail, **request)
    location = answer.headers.get("Location")
    return answer.status, location and location.replace(path, "/R")


@pytest.mark.parametrize(
    ("uri", "tail", "location"),
    [
        ("/test/add", "", "/test/add"),
        ("$uri/test/add", "", "/R/test/add"),
        ("${uri}x", "/a", "/R/ax"),
        ("https://$host$request_uri", "?a=1", "https://test.com/R?a=1"),
        ("/$arg_name/$method", "?name=x", "/x/GET"),
        ("/$no_such_thing/x", "", "//x"),
        ("/a\\$uri/b", "", "/a\\$uri/b"),
        ("/cost$", "", "/cost$"),
        ("$$uri", "", "$/R"),
    ],
)
def test_a_uri_with_variables(gateway: Gateway, uri: str, tail: str, location: str) -> None:
    assert ask(gateway, {"uri": uri}, tail) == (302, location)


def test_the_status_may_be_chosen(gateway: Gateway) -> None:
    assert ask(gateway, {"uri": "/x", "ret_code": 301}) == (301, "/x")
    assert ask(gateway, {"uri": "/x", "ret_code": 200})[0] == 200


def test_a_regular_expression(gateway: Gateway) -> None:
    conf = {"regex_uri": ["/(r\\d+)/(.*)/(.*)$", "http://a.com/$2-$3"]}
    assert ask(gateway, conf, "/one/two?x=1") == (302, "http://a.com/one-two")
    assert ask(gateway, {**conf, "ret_code": 307}, "/one/two") == (307, "http://a.com/one-two")


def test_what_does_not_match_goes_to_the_upstream(gateway: Gateway) -> None:
    assert ask(gateway, {"regex_uri": ["/none/(.*)", "/$1"]}) == (200, None)


def test_encoding(gateway: Gateway) -> None:
    conf = {"uri": "/a b/$arg_x?q=1 2", "encode_uri": True}
    assert ask(gateway, conf, "?x=%C3%A9") == (302, "/a%20b/%C3%A9?q=1 2")


@pytest.mark.parametrize(
    ("uri", "tail", "location"),
    [
        ("/new", "?a=1&b", "/new?a=1&b"),
        ("/new?z=0", "?a=1", "/new?z=0&a=1"),
        ("/new", "", "/new"),
        ("/new?z=0", "?", "/new?z=0"),
    ],
)
def test_the_query_may_be_taken_along(gateway: Gateway, uri: str, tail: str, location: str) -> None:
    assert ask(gateway, {"uri": uri, "append_query_string": True}, tail) == (302, location)


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)]
)
def test_to_https(gateway: Gateway, method: str, status: int) -> None:
    found = ask(gateway, {"http_to_https": True}, "/x?a=1", method=method)
    assert found == (status, "https://test.com/R/x?a=1")


def test_what_is_https_already_stays(gateway: Gateway, start_gateway: Any) -> None:
    trusting = start_gateway(plugins=["redirect"], apisix={"trusted_addresses": ["127.0.0.1"]})
    headers = {"X-Forwarded-Proto": "https"}
    assert ask(trusting, {"http_to_https": True}, headers=headers) == (200, None)
    assert ask(gateway, {"http_to_https": False}) == (200, None)


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ({"plugin_attr": {"redirect": {"https_port": 8443}}}, ":8443"),
        ({"plugin_attr": {"redirect": {"https_port": 443}}}, ""),
        ({"plugin_attr": {"redirect": {"https_port": 65536}}}, ""),
        ({"apisix": {"ssl": {"enable": True, "listen": [{"port": 9445}]}}}, ":9445"),
        ({"apisix": {"ssl": {"enable": False, "listen": [{"port": 9445}]}}}, ""),
    ],
)
def test_the_port_of_https(start_gateway: Any, config: dict[str, Any], port: str) -> None:
    gateway = start_gateway(plugins=["redirect"], **config)
    found = ask(gateway, {"http_to_https": True})
    assert found == (301, f"https://test.com{port}/R")


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, "value should match only one schema, but matches none"),
        ({"uri": "/a", "http_to_https": True}, "value should match only one schema"),
        ({"uri": "/a", "regex_uri": ["a", "b"]}, "value should match only one schema"),
        ({"uri": "/"}, "string too short, expected at least 2, got 1"),
        ({"uri": "/a", "ret_code": 100}, "expected 100 to be at least 200"),
        ({"regex_uri": ["a"]}, "expect array to have at least 2 items"),
        ({"regex_uri": ["(", "/"]}, "invalid regex_uri ((, /), err:"),
        ({"regex_uri": ["/(.*)", "/${1"]}, "invalid regex_uri (/(.*), /${1), err:"),
        (
            {"http_to_https": True, "append_query_string": True},
            "only one of `http_to_https` and `append_query_string` can be configured.",
        ),
    ],
)
def test_a_wrong_configuration(gateway: Gateway, conf: Any, complaint: str) -> None:
    assert complaint in gateway.complaint({"redirect": conf})
