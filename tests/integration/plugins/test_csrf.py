"""The plugin csrf as browsers meet it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer

KEY = "edd1c9f034335f136f87ad84b625c8f1"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["csrf", "key-auth"])


def cookie_of(answer: Answer, name: str = "apisix-csrf-token") -> str:
    cookie = answer.headers.get("Set-Cookie")
    assert cookie
    found = re.fullmatch(rf"{name}=([^;]+);path=/;SameSite=Lax;Expires=(.+)", cookie)
    assert found, cookie
    return found[1]


def send(gateway: Gateway, path: str, token: str, cookie: str | None = None, **more: Any) -> Answer:
    """Send a POST with this token in the header and, unless told, in the cookie."""
    name = more.pop("name", "apisix-csrf-token")
    headers = {name: token, "Cookie": f"{name}={token if cookie is None else cookie}"}
    return gateway.ask(path, headers, method="POST", **more)


def forge(random: Any, expires: Any, key: str = KEY, sign: str | None = None) -> str:
    text = f"{{expires:{expires},random:{random},key:{key}}}"
    made = sign or hashlib.sha256(text.encode()).hexdigest()
    content = {"random": random, "expires": expires, "sign": made}
    content = {name: value for name, value in content.items() if value is not None}
    return base64.b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_method_gets_a_token(gateway: Gateway, method: str) -> None:
    answer = gateway.ask(gateway.route({"csrf": {"key": KEY}}), method=method)
    assert answer.status == 200
    content = json.loads(base64.b64decode(cookie_of(answer)))
    assert set(content) == {"random", "expires", "sign"}
    assert content["expires"] == int(gateway.clock.now)


def test_the_cookie_expires_when_the_token_does(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"csrf": {"key": KEY, "expires": 60}}))
    expires = (answer.headers.get("Set-Cookie") or "").partition("Expires=")[2]
    assert parsedate_to_datetime(expires).timestamp() == int(gateway.clock.now) + 60


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_an_unsafe_method_needs_the_token(gateway: Gateway, method: str) -> None:
    answer = gateway.ask(gateway.route({"csrf": {"key": KEY}}), method=method)
    assert answer.status == 401
    assert answer.json() == {"error_msg": "no csrf token in headers"}
    assert cookie_of(answer), "the next try may have one"


def test_the_token_lets_in(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY}})
    assert send(gateway, path, cookie_of(gateway.ask(path))).status == 200


def test_another_name(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY, "name": "tok"}})
    token = cookie_of(gateway.ask(path), "tok")
    assert send(gateway, path, token, name="tok").status == 200
    assert send(gateway, path, token).json() == {"error_msg": "no csrf token in headers"}


def test_an_empty_header(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY}})
    assert send(gateway, path, "").json() == {"error_msg": "no csrf token in headers"}


def test_without_the_cookie(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY}})
    token = cookie_of(gateway.ask(path))
    answer = gateway.ask(path, {"apisix-csrf-token": token}, method="POST")
    assert answer.status == 401
    assert answer.json() == {"error_msg": "no csrf cookie"}


def test_a_cookie_with_another_token(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY}})
    answer = send(gateway, path, cookie_of(gateway.ask(path)), cookie="other")
    assert answer.status == 401
    assert answer.json() == {"error_msg": "csrf token mismatch"}


def test_a_token_of_ones_own_signature_lets_in(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY}})
    assert send(gateway, path, forge(0.5, int(gateway.clock.now))).status == 200


@pytest.mark.parametrize(
    ("token", "logged"),
    [
        ("!!!", "csrf token base64 decode error"),
        (base64.b64encode(b"no json").decode(), "decode token error: "),
        (forge(None, 1), "no random in token"),
        (forge(0.5, None), "no expires in token"),
        (forge(0.5, 1), "token has expired"),
        (forge(0.5, 99999999999, key="other"), "Invalid signatures"),
        (forge(0.5, 99999999999, sign="00"), "Invalid signatures"),
    ],
)
def test_a_token_that_is_not_ours(gateway: Gateway, token: str, logged: str) -> None:
    answer = send(gateway, gateway.route({"csrf": {"key": KEY}}), token)
    assert answer.status == 401
    assert answer.json() == {"error_msg": "Failed to verify the csrf token signature"}
    assert logged in gateway.log


def test_a_token_of_another_routes_key(gateway: Gateway) -> None:
    token = cookie_of(gateway.ask(gateway.route({"csrf": {"key": "other"}})))
    assert send(gateway, gateway.route({"csrf": {"key": KEY}}), token).status == 401


def test_a_token_gets_too_old(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY, "expires": 10}})
    token = cookie_of(gateway.ask(path))
    advance(gateway, 10)
    assert send(gateway, path, token).status == 200
    advance(gateway, 1)
    assert send(gateway, path, token).status == 401


def test_a_token_that_never_gets_too_old(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": KEY, "expires": 0}})
    token = cookie_of(gateway.ask(path))
    advance(gateway, 8_000)  # longer than the default
    assert send(gateway, path, token).status == 200


def test_the_upstreams_cookies_stay(gateway: Gateway) -> None:
    gateway.upstream.reply_once(200, b"", [("Set-Cookie", "a=b")])
    answer = gateway.ask(gateway.route({"csrf": {"key": KEY}}))
    first, second = answer.headers.all("Set-Cookie")
    assert first == "a=b"
    assert second.startswith("apisix-csrf-token=")


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, 'property "key" is required'),
        ({"key": 1}, 'property "key" validation failed'),
        ({"key": "k", "expires": "1"}, 'property "expires" validation failed'),
        ({"key": "k", "name": 1}, 'property "name" validation failed'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    assert f"configuration of plugin csrf err: {reason}" in gateway.complaint({"csrf": conf})
