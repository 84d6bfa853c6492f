"""The plugin basic-auth as clients and upstreams meet it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

CHALLENGE = 'Basic realm="basic"'


def credentials(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With foo (password "bar"; by a credential "foo2", "baz") and anon."""
    gateway = start_gateway(plugins=["basic-auth", "proxy-rewrite"])
    own = {"basic-auth": {"username": "foo", "password": "bar"}}
    gateway.put("consumers/foo", {"username": "foo", "plugins": own, "labels": {"custom_id": "7"}})
    more = {"basic-auth": {"username": "foo2", "password": "baz"}}
    gateway.put("consumers/foo/credentials/c2", {"plugins": more})
    gateway.put("consumers/anon", {"username": "anon"})
    return gateway


def refused(answer: Answer, message: str) -> bool:
    assert answer.headers.get("WWW-Authenticate") == CHALLENGE
    return answer.status == 401 and answer.json() == {"message": message}


def test_without_credentials(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    answer = gateway.ask(gateway.route({"basic-auth": {}}))
    assert refused(answer, "Missing authorization in request")
    assert len(gateway.upstream.requests) == asked


def test_the_right_password(gateway: Gateway) -> None:
    assert gateway.ask(gateway.route({"basic-auth": {}}), credentials("foo:bar")).status == 200
    seen = gateway.upstream.last.headers
    assert seen.get("X-Consumer-Username") == "foo"
    assert seen.get("X-Consumer-Custom-ID") == "7"
    assert seen.get("X-Credential-Identifier") is None
    assert seen.get("Authorization") == credentials("foo:bar")["Authorization"]


def test_a_credential_of_a_consumer(gateway: Gateway) -> None:
    assert gateway.ask(gateway.route({"basic-auth": {}}), credentials("foo2:baz")).status == 200
    seen = gateway.upstream.last.headers
    assert seen.get("X-Consumer-Username") == "foo"
    assert seen.get("X-Credential-Identifier") == "c2"


@pytest.mark.parametrize("text", ["foo:wrong", "foo:", "foo:BAR", "foo:baz", "foo2:bar", ":bar"])
def test_wrong_credentials(gateway: Gateway, text: str) -> None:
    answer = gateway.ask(gateway.route({"basic-auth": {}}), credentials(text))
    assert answer.status == 401
    assert answer.headers.get("WWW-Authenticate") == CHALLENGE
    assert answer.json()["message"] in (
        "Invalid user authorization",
        "Invalid authorization in request",
    )


def test_an_unknown_user(gateway: Gateway) -> None:
    path = gateway.route({"basic-auth": {}})
    assert refused(gateway.ask(path, credentials("ghost:bar")), "Invalid user authorization")
    assert "failed to find user: invalid user" in gateway.log


@pytest.mark.parametrize(
    ("header", "logged"),
    [
        ("Digest abc", "Invalid authorization header format"),
        ("Basic", "Invalid authorization header format"),
        ("Basic aca_a", "Failed to decode authentication header: aca_a"),
        ("Basic Zm9v", "Split authorization err: invalid decoded data: foo"),
    ],
)
def test_a_header_that_says_nothing(gateway: Gateway, header: str, logged: str) -> None:
    answer = gateway.ask(gateway.route({"basic-auth": {}}), {"Authorization": header})
    assert refused(answer, "Invalid authorization in request")
    assert logged in gateway.log


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_the_scheme_in_any_case(gateway: Gateway, scheme: str) -> None:
    sent = credentials("foo:bar")["Authorization"].replace("Basic", scheme)
    assert gateway.ask(gateway.route({"basic-auth": {}}), {"Authorization": sent}).status == 200


def test_spaces_do_not_count(gateway: Gateway) -> None:
    path = gateway.route({"basic-auth": {}})
    assert gateway.ask(path, credentials(" f oo :b ar\t")).status == 200


def test_what_follows_a_second_colon_does_not_count(gateway: Gateway) -> None:
    """RFC 7617 lets a password hold colons; in APISIX it ends at the first one."""
    path = gateway.route({"basic-auth": {}})
    assert gateway.ask(path, credentials("foo:bar:more")).status == 200


def test_hide_credentials(gateway: Gateway) -> None:
    path = gateway.route({"basic-auth": {"hide_credentials": True}})
    assert gateway.ask(path, credentials("foo:bar")).status == 200
    assert gateway.upstream.last.headers.get("Authorization") is None


def test_realm(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"basic-auth": {"realm": "my realm"}}))
    assert answer.headers.get("WWW-Authenticate") == 'Basic realm="my realm"'


@pytest.mark.parametrize("headers", [{}, credentials("foo:wrong"), {"Authorization": "x"}])
def test_anonymous_consumer(gateway: Gateway, headers: dict[str, str]) -> None:
    path = gateway.route({"basic-auth": {"anonymous_consumer": "anon", "hide_credentials": True}})
    assert gateway.ask(path, headers).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "anon"
    assert gateway.upstream.last.headers.get("Authorization") is None
    assert gateway.ask(path, credentials("foo:bar")).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "foo"


def test_anonymous_consumer_that_is_not_there(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"basic-auth": {"anonymous_consumer": "ghost"}}))
    assert refused(answer, "Invalid user authorization")
    message = "basic-auth failed to authenticate the request, code: 401. error: "
    assert f"{message}failed to get anonymous consumer ghost" in gateway.log


def test_a_changed_password(gateway: Gateway) -> None:
    path = gateway.route({"basic-auth": {}})
    for password in ("one", "two"):
        conf = {"basic-auth": {"username": "tom", "password": password}}
        gateway.put("consumers/tom", {"username": "tom", "plugins": conf})
        assert gateway.ask(path, credentials(f"tom:{password}")).status == 200
    assert gateway.ask(path, credentials("tom:one")).status == 401
    gateway.delete("consumers/tom")
    assert gateway.ask(path, credentials("tom:two")).status == 401


def test_a_password_from_the_environment(
    start_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_PASSWORD", "from-env")
    gateway = start_gateway(plugins=["basic-auth"])
    conf = {"basic-auth": {"username": "env", "password": "$env://APP_PASSWORD"}}
    gateway.put("consumers/env", {"username": "env", "plugins": conf})
    path = gateway.route({"basic-auth": {}})
    assert gateway.ask(path, credentials("env:from-env")).status == 200
    assert gateway.ask(path, credentials("env:$env://APP_PASSWORD")).status == 401


def test_nobody_has_a_password(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(plugins=["basic-auth"])
    path = gateway.route({"basic-auth": {}})
    assert refused(gateway.ask(path, credentials("foo:bar")), "Invalid user authorization")
    assert "failed to find user: Missing related consumer" in gateway.log


@pytest.mark.parametrize("conf", [{"hide_credentials": "yes"}, {"realm": 1}])
def test_configurations_of_a_route_that_are_refused(gateway: Gateway, conf: dict[str, Any]) -> None:
    (name,) = conf
    message = f'configuration of plugin basic-auth err: property "{name}" validation failed'
    assert message in gateway.complaint({"basic-auth": conf})


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"username": "x"}, 'property "password" is required'),
        ({"password": "x"}, 'property "username" is required'),
        ({"username": 1, "password": "x"}, 'property "username" validation failed'),
    ],
)
def test_configurations_of_a_consumer_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.refused("consumers/bad", {"username": "bad", "plugins": {"basic-auth": conf}})
    assert f"failed to check the configuration of plugin basic-auth err: {reason}" in log
