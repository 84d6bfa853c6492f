"""The plugin hmac-auth as clients that sign their requests meet it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer

REFUSED = {"message": "client request can't be validated"}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With jack (key id "j1", key "secret"; by a credential "j2", "other") and anon."""
    gateway = start_gateway(VirtualClock(), plugins=["hmac-auth"])
    own = {"hmac-auth": {"key_id": "j1", "secret_key": "secret"}}
    gateway.put("consumers/jack", {"username": "jack", "plugins": own})
    more = {"hmac-auth": {"key_id": "j2", "secret_key": "other"}}
    gateway.put("consumers/jack/credentials/c2", {"plugins": more})
    gateway.put("consumers/anon", {"username": "anon"})
    return gateway


def date(gateway: Gateway, ahead: float = 0) -> str:
    return formatdate(gateway.clock.now + ahead, usegmt=True)


def signature(key: str, algorithm: str, *lines: str) -> str:
    text = "".join(f"{line}\n" for line in lines)
    made = hmac.digest(key.encode(), text.encode(), algorithm.removeprefix("hmac-"))
    return base64.b64encode(made).decode()


def authorization(**fields: str) -> str:
    return "Signature " + ",".join(f'{name}="{value}"' for name, value in fields.items())


def send(
    gateway: Gateway,
    path: str,
    *,
    key_id: str = "j1",
    key: str = "secret",
    algorithm: str = "hmac-sha256",
    names: str = "@request-target date",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    sent_path: str | None = None,
) -> Answer:
    """Sign path and headers and send them, to sent_path if it is given."""
    headers = {"Date": date(gateway), **(headers or {})}
    values = {name.lower(): value for name, value in headers.items()}
    values["@request-target"] = ""
    lines = [
        f"{method} {path}" if name == "@request-target" else f"{name}: {values[name.lower()]}"
        for name in names.split()
        if name.lower() in values
    ]
    made = signature(key, algorithm, key_id, *lines)
    fields = {"keyId": key_id, "algorithm": algorithm, "headers": names, "signature": made}
    headers["Authorization"] = authorization(**fields)
    return gateway.ask(sent_path or path, headers, method=method, body=body)


@pytest.mark.parametrize("algorithm", ["hmac-sha1", "hmac-sha256", "hmac-sha512"])
def test_every_algorithm(gateway: Gateway, algorithm: str) -> None:
    path = gateway.route({"hmac-auth": {}})
    assert send(gateway, path, algorithm=algorithm).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "jack"
    assert gateway.upstream.last.headers.get("Authorization")


def test_a_credential_of_a_consumer(gateway: Gateway) -> None:
    assert send(gateway, gateway.route({"hmac-auth": {}}), key_id="j2", key="other").status == 200
    assert gateway.upstream.last.headers.get("X-Credential-Identifier") == "c2"


def test_the_query_is_signed(gateway: Gateway) -> None:
    path = gateway.route({"hmac-auth": {}})
    assert send(gateway, f"{path}?a=1&b=%20").status == 200
    assert send(gateway, f"{path}?a=1", sent_path=f"{path}?a=2").status == 401


def test_more_headers(gateway: Gateway) -> None:
    conf = {"signed_headers": ["date", "x-one"]}
    path = gateway.route({"hmac-auth": conf})
    headers = {"X-One": "1", "X-Two": "2"}
    assert send(gateway, path, names="date x-one x-two", headers=headers).status == 200
    assert send(gateway, path, names="x-two date x-one", headers=headers).status == 200
    assert send(gateway, path, names="date x-two", headers=headers).json() == REFUSED
    assert 'expected header "x-one" missing in signing' in gateway.log


def test_a_signed_header_that_is_not_sent_is_left_out(gateway: Gateway) -> None:
    path = gateway.route({"hmac-auth": {}})
    assert send(gateway, path, names="date x-none").status == 200


def test_no_headers_signed_at_all(gateway: Gateway) -> None:
    headers = {"Date": date(gateway)}
    made = signature("secret", "hmac-sha256", "j1")
    fields = {"keyId": "j1", "algorithm": "hmac-sha256", "signature": made}
    headers["Authorization"] = authorization(**fields)
    path = gateway.route({"hmac-auth": {"signed_headers": []}})
    assert gateway.ask(path, headers).status == 200
    assert gateway.ask(gateway.route({"hmac-auth": {}}), headers).json() == REFUSED
    assert 'expected header "date" missing in signing' in gateway.log


@pytest.mark.parametrize(
    ("changes", "logged"),
    [
        ({"key": "wrong"}, "Invalid signature"),
        ({"key_id": "ghost"}, "Invalid key_id"),
        ({"sent_path": "/other"}, "Invalid signature"),
        ({"headers": {"Date": "yesterday"}}, "Invalid GMT format time"),
    ],
)
def test_what_is_refused(gateway: Gateway, changes: dict[str, Any], logged: str) -> None:
    path = gateway.route({"hmac-auth": {}})
    if "sent_path" in changes:
        changes = {"sent_path": path + changes["sent_path"]}
    answer = send(gateway, path, **changes)
    assert answer.status == 401
    assert answer.json() == REFUSED
    assert answer.headers.get("WWW-Authenticate") == 'hmac realm="hmac"'
    assert f"client request can't be validated: {logged}" in gateway.log


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing Authorization header"),
        ("Basic abc", "Authorization header does not start with 'Signature'"),
    ],
)
def test_without_a_signature(gateway: Gateway, value: str | None, reason: str) -> None:
    headers = {"Authorization": value} if value else {}
    answer = gateway.ask(gateway.route({"hmac-auth": {}}), headers)
    assert answer.status == 401
    assert answer.json() == {"message": f"client request can't be validated: {reason}"}


@pytest.mark.parametrize(
    ("fields", "logged"),
    [
        ({}, "keyId or signature missing"),
        ({"keyId": "j1"}, "keyId or signature missing"),
        ({"signature": "x"}, "keyId or signature missing"),
        ({"keyId": "j1", "signature": "x"}, "algorithm missing"),
        ({"keyId": "j1", "signature": "x", "algorithm": "hmac-md5"}, "Invalid algorithm"),
        ({"keyId": "j1", "signature": "!", "algorithm": "hmac-sha1"}, "Date header missing"),
    ],
)
def test_a_signature_that_lacks_something(
    gateway: Gateway, fields: dict[str, str], logged: str
) -> None:
    path = gateway.route({"hmac-auth": {}})
    answer = gateway.ask(path, {"Authorization": authorization(**fields)})
    assert answer.status == 401
    assert answer.json() == REFUSED
    assert f"client request can't be validated: {logged}" in gateway.log


def test_allowed_algorithms(gateway: Gateway) -> None:
    path = gateway.route({"hmac-auth": {"allowed_algorithms": ["hmac-sha512"]}})
    assert send(gateway, path, algorithm="hmac-sha512").status == 200
    assert send(gateway, path, algorithm="hmac-sha256").status == 401


def test_clock_skew(gateway: Gateway) -> None:
    path = gateway.route({"hmac-auth": {}})
    for ahead, status in ((-298, 200), (298, 200), (-302, 401), (302, 401)):
        assert send(gateway, path, headers={"Date": date(gateway, ahead)}).status == status
    assert "client request can't be validated: Clock skew exceeded" in gateway.log
    path = gateway.route({"hmac-auth": {"clock_skew": 10}})
    assert send(gateway, path, headers={"Date": date(gateway, -30)}).status == 401


def digest(body: bytes) -> dict[str, str]:
    return {"Digest": f"SHA-256={base64.b64encode(hashlib.sha256(body).digest()).decode()}"}


def test_validate_request_body(gateway: Gateway) -> None:
    path = gateway.route({"hmac-auth": {"validate_request_body": True}})
    post = {"method": "POST", "names": "date digest"}
    assert send(gateway, path, **post, headers=digest(b"text"), body=b"text").status == 200
    assert gateway.upstream.last.body == b"text"
    assert send(gateway, path, **post, headers=digest(b"")).status == 200
    assert send(gateway, path, **post, headers=digest(b"text"), body=b"more").json() == REFUSED
    assert send(gateway, path, method="POST", body=b"text").json() == REFUSED
    assert "client request can't be validated: Invalid digest" in gateway.log


def test_a_body_that_is_too_long(gateway: Gateway) -> None:
    conf = {"validate_request_body": True, "max_req_body_size": 3}
    path = gateway.route({"hmac-auth": conf})
    answer = send(gateway, path, method="POST", headers=digest(b"text"), body=b"text")
    assert answer.status == 413
    assert answer.json()["message"]
    assert "failed to read request body: " in gateway.log
    assert send(gateway, path, method="POST", headers=digest(b"abc"), body=b"abc").status == 200


def test_hide_credentials(gateway: Gateway) -> None:
    assert send(gateway, gateway.route({"hmac-auth": {"hide_credentials": True}})).status == 200
    assert gateway.upstream.last.headers.get("Authorization") is None
    assert gateway.upstream.last.headers.get("Date")


def test_realm(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"hmac-auth": {"realm": "my realm"}}))
    assert answer.headers.get("WWW-Authenticate") == 'hmac realm="my realm"'


def test_anonymous_consumer(gateway: Gateway) -> None:
    path = gateway.route({"hmac-auth": {"anonymous_consumer": "anon"}})
    assert gateway.ask(path).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "anon"
    assert send(gateway, path).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "jack"


def test_anonymous_consumer_that_is_not_there(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"hmac-auth": {"anonymous_consumer": "ghost"}}))
    assert answer.status == 401
    assert answer.json() == {"message": "Invalid user authorization"}
    assert "failed to get anonymous consumer ghost" in gateway.log


def test_a_key_from_the_environment(
    start_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_KEY", "from-env")
    gateway = start_gateway(plugins=["hmac-auth"])
    conf = {"hmac-auth": {"key_id": "e1", "secret_key": "$env://APP_KEY"}}
    gateway.put("consumers/env", {"username": "env", "plugins": conf})
    path = gateway.route({"hmac-auth": {}})
    assert send(gateway, path, key_id="e1", key="from-env").status == 200
    assert send(gateway, path, key_id="e1", key="$env://APP_KEY").status == 401


def test_nobody_has_a_key(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(plugins=["hmac-auth"])
    assert send(gateway, gateway.route({"hmac-auth": {}})).json() == REFUSED
    assert "client request can't be validated: Missing related consumer" in gateway.log


@pytest.mark.parametrize(
    "conf",
    [
        {"allowed_algorithms": []},
        {"allowed_algorithms": ["hmac-md5"]},
        {"clock_skew": 0},
        {"signed_headers": [""]},
        {"validate_request_body": 1},
        {"max_req_body_size": 0},
        {"hide_credentials": "yes"},
    ],
)
def test_configurations_of_a_route_that_are_refused(gateway: Gateway, conf: dict[str, Any]) -> None:
    (name,) = conf
    message = f'configuration of plugin hmac-auth err: property "{name}" validation failed'
    assert message in gateway.complaint({"hmac-auth": conf})


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"key_id": "a"}, 'property "secret_key" is required'),
        ({"secret_key": "a"}, 'property "key_id" is required'),
        ({"key_id": "", "secret_key": "a"}, 'property "key_id" validation failed'),
        ({"key_id": "a", "secret_key": "a" * 257}, 'property "secret_key" validation failed'),
    ],
)
def test_configurations_of_a_consumer_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.refused("consumers/bad", {"username": "bad", "plugins": {"hmac-auth": conf}})
    assert f"failed to check the configuration of plugin hmac-auth err: {reason}" in log
