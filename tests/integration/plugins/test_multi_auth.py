"""The plugin multi-auth: whichever way to authenticate works."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from support import jose
from support.gateway import Gateway

PLUGINS = ["multi-auth", "basic-auth", "key-auth", "jwt-auth", "hmac-auth", "proxy-rewrite"]
WAYS: list[dict[str, Any]] = [{"basic-auth": {}}, {"key-auth": {}}, {"jwt-auth": {}}]


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With foo, who has a password, bar, who has a key, and baz, who has tokens."""
    gateway = start_gateway(plugins=PLUGINS)
    for name, plugins in (
        ("foo", {"basic-auth": {"username": "foo", "password": "pw"}}),
        ("bar", {"key-auth": {"key": "bar-key"}}),
        ("baz", {"jwt-auth": {"key": "baz", "secret": "baz-secret"}}),
    ):
        gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins})
    return gateway


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (basic("foo:pw"), "foo"),
        ({"apikey": "bar-key"}, "bar"),
        ({"Authorization": jose.token("HS256", b"baz-secret", {"key": "baz"})}, "baz"),
        ({"apikey": "bar-key", **basic("foo:pw")}, "foo"),
        ({"apikey": "bar-key", **basic("foo:wrong")}, "bar"),
    ],
)
def test_any_way_lets_in(
    gateway: Gateway, headers: dict[str, str], name: str, plugin_source: object
) -> None:
    answer = gateway.ask(gateway.route({"multi-auth": {"auth_plugins": WAYS}}), headers)
    assert answer.status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == name
    if plugin_source is None:  # APISIX leaves the header of a way that has failed
        assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("headers", [{}, basic("foo:wrong"), {"apikey": "wrong"}])
def test_no_way_lets_in(gateway: Gateway, headers: dict[str, str]) -> None:
    asked = len(gateway.upstream.requests)
    answer = gateway.ask(gateway.route({"multi-auth": {"auth_plugins": WAYS}}), headers)
    assert answer.status == 401
    assert answer.json() == {"message": "Authorization Failed"}
    assert len(gateway.upstream.requests) == asked


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "basic-auth failed to authenticate the request, code: 401. error: Missing auth"),
        ({}, "key-auth failed to authenticate the request, code: 401. error: Missing API key"),
        ({}, "jwt-auth failed to authenticate the request, code: 401. error: Missing JWT token"),
        (basic("ghost:x"), "error: failed to find user: invalid user"),
        ({"apikey": "x"}, "error: failed to find consumer: invalid api key"),
        ({"Authorization": "x"}, "error: JWT token invalid: invalid jwt string"),
        ({"Authorization": "Signature x"}, "error: client request can't be validated: keyId or"),
    ],
)
def test_the_log_says_what_failed(gateway: Gateway, headers: dict[str, str], reason: str) -> None:
    ways = [*WAYS, {"hmac-auth": {}}]
    assert gateway.ask(gateway.route({"multi-auth": {"auth_plugins": ways}}), headers).status == 401
    assert reason in gateway.log


def test_each_way_has_its_configuration(gateway: Gateway) -> None:
    ways = [{"key-auth": {"header": "x-key", "hide_credentials": True}}, {"basic-auth": {}}]
    path = gateway.route({"multi-auth": {"auth_plugins": ways}})
    assert gateway.ask(path, {"x-key": "bar-key"}).status == 200
    assert gateway.upstream.last.headers.get("x-key") is None
    assert gateway.ask(path, {"apikey": "bar-key"}).status == 401


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, 'property "auth_plugins" is required'),
        ({"auth_plugins": WAYS[:1]}, 'property "auth_plugins" validation failed'),
        ({"auth_plugins": [*WAYS, {"nope": {}}]}, "nope plugin did not found"),
        (
            {"auth_plugins": [*WAYS, {"proxy-rewrite": {}}]},
            "proxy-rewrite plugin is not supported",
        ),
        (
            {"auth_plugins": [*WAYS, {"key-auth": {"header": 1}}]},
            'plugin key-auth check schema failed: property "header" validation failed',
        ),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    assert reason in gateway.complaint({"multi-auth": conf})
