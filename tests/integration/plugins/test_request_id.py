"""The plugin request-id as clients, upstreams and logs meet it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

NAME = "X-Request-Id"
DEFAULT_CHARACTERS = "a-zA-IK-Z0-9"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["request-id", "serverless-post-function"])


def made(gateway: Gateway, conf: dict[str, Any], name: str = NAME) -> list[str]:
    """The ids of two requests on a new route; the upstream and the client get the same."""
    path = gateway.route({"request-id": conf})
    ids = []
    for _ in range(2):
        ids.append(gateway.ask(path).headers.get(name) or "")
        assert gateway.upstream.last.headers.all(name) == [ids[-1]]
    return ids


@pytest.mark.parametrize(
    ("conf", "form"),
    [
        ({}, "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ({"algorithm": "uuid"}, "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab].*"),
        ({"algorithm": "uuidv7"}, "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab].*"),
        ({"algorithm": "nanoid"}, "[-_0-9a-zA-Z]{21}"),
        ({"algorithm": "ksuid"}, "[0-9a-zA-Z]{27}"),
        ({"algorithm": "range_id"}, f"[{DEFAULT_CHARACTERS}]{{16}}"),
        ({"algorithm": "range_id", "range_id": {}}, f"[{DEFAULT_CHARACTERS}]{{16}}"),
        ({"algorithm": "range_id", "range_id": {"length": 40}}, f"[{DEFAULT_CHARACTERS}]{{40}}"),
        ({"algorithm": "range_id", "range_id": {"char_set": "!#$&*+"}}, r"[!#$&*+]{16}"),
    ],
)
def test_ids_of_each_algorithm(gateway: Gateway, conf: dict[str, Any], form: str) -> None:
    first, second = made(gateway, conf)
    assert re.fullmatch(form, first)
    assert re.fullmatch(form, second)
    assert first != second


def test_every_character_and_no_other(gateway: Gateway) -> None:
    conf = {"algorithm": "range_id", "range_id": {"char_set": "ABCDEF", "length": 1000}}
    assert set(made(gateway, conf)[0]) == set("ABCDEF")


def test_uuidv7_tells_the_time_and_sorts(gateway: Gateway) -> None:
    before = int(time.time() * 1000)
    first, second = made(gateway, {"algorithm": "uuidv7"})
    assert before <= int(first.replace("-", "")[:12], 16) <= int(time.time() * 1000)
    assert first < second


def test_ksuid_tells_the_second(gateway: Gateway) -> None:
    before = int(time.time())
    number = 0
    for digit in made(gateway, {"algorithm": "ksuid"})[0]:
        letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        number = number * 62 + letters.index(digit)
    assert before <= (number >> 128) + 1_400_000_000 <= time.time()


def test_the_clients_id_stays(gateway: Gateway) -> None:
    path = gateway.route({"request-id": {}})
    assert gateway.ask(path, {NAME: "mine"}).headers.get(NAME) == "mine"
    assert gateway.upstream.last.headers.all(NAME) == ["mine"]


def test_an_empty_header_is_none(gateway: Gateway) -> None:
    path = gateway.route({"request-id": {}})
    given = gateway.ask(path, {NAME: ""}).headers.get(NAME)
    assert given
    assert gateway.upstream.last.headers.all(NAME) == [given]


def test_a_header_of_ones_choice(gateway: Gateway) -> None:
    path = gateway.route({"request-id": {"header_name": "X-Req-Identifier"}})
    answer = gateway.ask(path, {NAME: "other"})
    assert answer.headers.get("X-Req-Identifier") not in (None, "", "other")
    assert NAME not in answer.headers
    assert gateway.upstream.last.headers.get(NAME) == "other"


def test_for_the_upstream_alone(gateway: Gateway) -> None:
    path = gateway.route({"request-id": {"include_in_response": False}})
    assert NAME not in gateway.ask(path).headers
    assert gateway.upstream.last.headers.get(NAME)
    assert NAME not in gateway.ask(path, {NAME: "mine"}).headers


@pytest.mark.parametrize(("said", "told"), [("theirs", "theirs"), ("", "mine")])
def test_an_id_in_the_upstreams_response(gateway: Gateway, said: str, told: str) -> None:
    gateway.upstream.reply_once(200, b"", [(NAME, said)])
    path = gateway.route({"request-id": {}})
    assert gateway.ask(path, {NAME: "mine"}).headers.all(NAME) == [told]


def test_one_for_all_and_one_for_the_route(gateway: Gateway) -> None:
    gateway.put(
        "global_rules/1",
        {"id": "1", "plugins": {"request-id": {"header_name": "Global-Request-ID"}}},
    )
    try:
        path = gateway.route({"request-id": {"header_name": "Route-Request-ID"}})
        headers = gateway.ask(path).headers
    finally:
        gateway.delete("global_rules/1")
    ids = {headers.get(f"{of}-Request-ID") for of in ("Global", "Route")}
    assert len(ids) == 2
    assert None not in ids


def test_what_logs_know_as_the_id(gateway: Gateway) -> None:
    tell = 'return function(_, ctx) ngx.header["X-Logged"] = ngx.var.apisix_request_id end'
    functions = {"serverless-post-function": {"functions": [tell]}}
    answer = gateway.ask(gateway.route({"request-id": {}, **functions}))
    assert answer.headers.get("X-Logged") == answer.headers.get(NAME)


def test_logs_know_one_without_the_plugin(gateway: Gateway) -> None:
    tell = """return function(_, ctx)
        ngx.header["X-Logged"] = ctx.var.apisix_request_id
        ngx.header["X-Known"] = ngx.var.request_id
    end"""
    headers = gateway.ask(
        gateway.route({"serverless-post-function": {"functions": [tell]}})
    ).headers
    assert re.fullmatch("[0-9a-f]{32}", headers.get("X-Logged") or "")
    assert headers.get("X-Logged") == headers.get("X-Known")


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"algorithm": "x"}, 'property "algorithm" validation failed: matches none of the enum'),
        ({"header_name": 1}, 'property "header_name" validation failed: wrong type'),
        (
            {"include_in_response": "bad_type"},
            'property "include_in_response" validation failed: wrong type: expected boolean, '
            "got string",
        ),
        (
            {"range_id": {"char_set": "aaaaa"}},
            'property "range_id" validation failed: property "char_set" validation failed: '
            "string too short, expected at least 6, got 5",
        ),
        (
            {"range_id": {"length": 5}},
            'property "range_id" validation failed: property "length" validation failed: '
            "expected 5 to be at least 6",
        ),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"request-id": conf})
    assert f"check the configuration of plugin request-id err: {reason}" in log
