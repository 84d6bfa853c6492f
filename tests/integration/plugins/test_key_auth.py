"""The plugin key-auth as clients and upstreams meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With jack (key "one" of his own, "two" by a credential), anon and the key $env://APP_KEY."""
    gateway = start_gateway()
    jack = {"username": "jack", "plugins": {"key-auth": {"key": "one"}}}
    gateway.put("consumers/jack", {**jack, "labels": {"custom_id": "0042"}})
    gateway.put("consumers/jack/credentials/c2", {"plugins": {"key-auth": {"key": "two"}}})
    gateway.put("consumers/anon", {"username": "anon"})
    return gateway


def test_without_a_key(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    answer = gateway.ask(gateway.route({"key-auth": {}}))
    assert answer.status == 401
    assert answer.text == '{"message":"Missing API key in request"}\n'
    assert answer.headers.get("WWW-Authenticate") == 'apikey realm="key"'
    assert len(gateway.upstream.requests) == asked, "nothing went to the upstream"


def test_with_a_key_that_nobody_has(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"key-auth": {}}), {"apikey": "secret-guess"})
    assert answer.status == 401
    assert answer.json() == {"message": "Invalid API key in request"}
    assert answer.headers.get("WWW-Authenticate") == 'apikey realm="key"'
    assert "failed to find consumer: invalid api key" in gateway.log
    assert "secret-guess" not in gateway.log


def test_realm(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"key-auth": {"realm": "my realm"}}))
    assert answer.headers.get("WWW-Authenticate") == 'apikey realm="my realm"'


@pytest.mark.parametrize("send", ["header", "query"])
def test_a_valid_key_lets_in_and_names_the_consumer(gateway: Gateway, send: str) -> None:
    path = gateway.route({"key-auth": {}})
    answer = gateway.ask(
        *((path, {"apikey": "one"}) if send == "header" else (f"{path}?apikey=one",))
    )
    assert answer.status == 200
    seen = gateway.upstream.last.headers
    assert seen.get("X-Consumer-Username") == "jack"
    assert seen.get("X-Consumer-Custom-ID") == "0042"
    assert seen.get("X-Credential-Identifier") is None


def test_a_credential_of_a_consumer(gateway: Gateway) -> None:
    assert gateway.ask(gateway.route({"key-auth": {}}), {"apikey": "two"}).status == 200
    seen = gateway.upstream.last.headers
    assert seen.get("X-Consumer-Username") == "jack"
    assert seen.get("X-Credential-Identifier") == "c2"


def test_a_client_cannot_name_itself(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {}})
    gateway.ask(path, {"apikey": "one", "X-Consumer-Username": "root"})
    assert gateway.upstream.last.headers.all("X-Consumer-Username") == ["jack"]


def test_other_names_for_header_and_query(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {"header": "X-Key", "query": "k"}})
    assert gateway.ask(path, {"x-key": "one"}).status == 200
    assert gateway.ask(f"{path}?k=one").status == 200
    assert gateway.ask(path, {"apikey": "one"}).json() == {"message": "Missing API key in request"}
    assert gateway.ask(f"{path}?apikey=one").status == 401


def test_the_header_wins_over_the_query(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {}})
    assert gateway.ask(f"{path}?apikey=one", {"apikey": "wrong"}).status == 401
    assert gateway.ask(f"{path}?apikey=wrong", {"apikey": "one"}).status == 200


@pytest.mark.parametrize("query", ["apikey", "apikey=", "apikey=one&apikey=two"])
def test_a_query_argument_that_is_no_key(gateway: Gateway, query: str) -> None:
    answer = gateway.ask(f"{gateway.route({'key-auth': {}})}?{query}")
    assert answer.json() == {"message": "Invalid API key in request"}


def test_credentials_are_passed_on_by_default(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {}})
    gateway.ask(f"{path}?apikey=one&x=1")
    assert gateway.upstream.last.target == f"{path}?apikey=one&x=1"
    gateway.ask(path, {"apikey": "one"})
    assert gateway.upstream.last.headers.get("apikey") == "one"


def test_hide_credentials(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {"hide_credentials": True}})
    assert gateway.ask(f"{path}?apikey=one&x=1").status == 200
    assert gateway.upstream.last.target == f"{path}?x=1"
    assert gateway.ask(path, {"apikey": "one", "other": "kept"}).status == 200
    assert gateway.upstream.last.headers.get("apikey") is None
    assert gateway.upstream.last.headers.get("other") == "kept"


def test_hide_credentials_leaves_what_was_not_the_credential(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {"hide_credentials": True}})
    assert gateway.ask(f"{path}?apikey=theirs", {"apikey": "one"}).status == 200
    assert gateway.upstream.last.target == f"{path}?apikey=theirs"


@pytest.mark.parametrize("headers", [{}, {"apikey": "wrong"}])
def test_anonymous_consumer(gateway: Gateway, headers: dict[str, str]) -> None:
    path = gateway.route({"key-auth": {"anonymous_consumer": "anon"}})
    assert gateway.ask(path, headers).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "anon"
    assert gateway.ask(path, {"apikey": "one"}).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "jack"


def test_anonymous_consumer_that_is_not_there(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {"anonymous_consumer": "ghost"}})
    answer = gateway.ask(path)
    assert answer.status == 401
    assert answer.json() == {"message": "Invalid user authorization"}
    assert answer.headers.get("WWW-Authenticate") == 'apikey realm="key"'
    message = "key-auth failed to authenticate the request, code: 401. error: "
    assert f"{message}failed to get anonymous consumer ghost" in gateway.log


def test_anonymous_requests_lose_all_credentials_when_hidden(gateway: Gateway) -> None:
    conf = {"anonymous_consumer": "anon", "hide_credentials": True}
    path = gateway.route({"key-auth": conf})
    assert gateway.ask(f"{path}?apikey=wrong&x=1", {"apikey": "wrong"}).status == 200
    assert gateway.upstream.last.target == f"{path}?x=1"
    assert gateway.upstream.last.headers.get("apikey") is None


def test_a_consumer_brings_its_plugins_along(gateway: Gateway) -> None:
    plugins = {"key-auth": {"key": "k3"}, "proxy-rewrite": {"headers": {"X-Plan": "gold"}}}
    gateway.put("consumers/rose", {"username": "rose", "plugins": plugins})
    assert gateway.ask(gateway.route({"key-auth": {}}), {"apikey": "k3"}).status == 200
    assert gateway.upstream.last.headers.get("X-Plan") == "gold"


def test_a_removed_consumer_is_let_in_no_more(gateway: Gateway) -> None:
    path = gateway.route({"key-auth": {}})
    gateway.put("consumers/tom", {"username": "tom", "plugins": {"key-auth": {"key": "k4"}}})
    assert gateway.ask(path, {"apikey": "k4"}).status == 200
    gateway.put("consumers/tom", {"username": "tom", "plugins": {"key-auth": {"key": "k5"}}})
    assert gateway.ask(path, {"apikey": "k4"}).status == 401
    assert gateway.ask(path, {"apikey": "k5"}).status == 200
    gateway.delete("consumers/tom")
    assert gateway.ask(path, {"apikey": "k5"}).status == 401


def test_a_key_from_the_environment(
    start_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_KEY", "from-env")
    gateway = start_gateway()
    consumer = {"username": "env", "plugins": {"key-auth": {"key": "$env://APP_KEY"}}}
    gateway.put("consumers/env", consumer)
    path = gateway.route({"key-auth": {}})
    assert gateway.ask(path, {"apikey": "from-env"}).status == 200
    assert gateway.ask(path, {"apikey": "$env://APP_KEY"}).status == 401


def test_nobody_has_a_key(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    answer = gateway.ask(gateway.route({"key-auth": {}}), {"apikey": "x"})
    assert answer.json() == {"message": "Invalid API key in request"}
    assert "failed to find consumer: Missing related consumer" in gateway.log


@pytest.mark.parametrize("conf", [{"header": 1}, {"query": 1}, {"hide_credentials": "yes"}])
def test_configurations_of_a_route_that_are_refused(gateway: Gateway, conf: dict[str, Any]) -> None:
    (name,) = conf
    message = f'configuration of plugin key-auth err: property "{name}" validation failed'
    assert message in gateway.complaint({"key-auth": conf})


@pytest.mark.parametrize(
    ("conf", "reason"),
    [({}, 'property "key" is required'), ({"key": 1}, 'property "key" validation failed')],
)
def test_configurations_of_a_consumer_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.refused("consumers/bad", {"username": "bad", "plugins": {"key-auth": conf}})
    assert f"failed to check the configuration of plugin key-auth err: {reason}" in log
