"""The plugin request-validation as clients and upstreams meet it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

NAME = "request-validation"
FORM = "application/x-www-form-urlencoded"
BODY = {
    "type": "object",
    "required": ["required_payload"],
    "properties": {
        "required_payload": {"type": "string"},
        "boolean_payload": {"type": "boolean"},
        "enum_payload": {"type": "string", "enum": ["enum_string_1", "enum_string_2"]},
        "array_payload": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "integer", "minimum": 200, "maximum": 599},
            "uniqueItems": True,
            "default": [200],
        },
        "regex_payload": {"type": "string", "minLength": 1, "maxLength": 32, "pattern": "^[a-z]+$"},
    },
}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=[NAME])


def post(
    gateway: Gateway, conf: dict[str, Any], body: Any, content_type: str | None = None
) -> Answer:
    """The answer to a body on a new route: bytes, or what is sent as JSON."""
    fields = {"Content-Type": content_type} if content_type else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.ask(gateway.route({NAME: conf}), fields, "POST", data)


def refusal(answer: Answer) -> str:
    """What a client is told that is refused as the defaults have it."""
    assert answer.status == 400
    return answer.text


HEADERS = {
    "type": "object",
    "required": ["User-Agent", "Host"],
    "properties": {
        "User-Agent": {"type": "string", "pattern": "^curl/"},
        "Host": {"type": "string", "enum": ["httpbin.org", "httpbin"]},
    },
}


@pytest.mark.parametrize(
    ("host", "fields", "told"),
    [
        ("httpbin", {"User-Agent": "curl/7.74.0"}, None),
        ("httpbin", {"user-agent": "curl/7.74.0"}, None),
        ("httpbin", {}, 'property "User-Agent" is required'),
        (
            "other",
            {"User-Agent": "curl/7.74.0"},
            'property "Host" validation failed: matches none of the enum values',
        ),
        (
            "httpbin",
            {"User-Agent": "cli-mock"},
            'property "User-Agent" validation failed: failed to match pattern "^curl/" with '
            '"cli-mock"',
        ),
    ],
)
def test_headers(gateway: Gateway, host: str, fields: dict[str, str], told: str | None) -> None:
    answer = gateway.ask(gateway.route({NAME: {"header_schema": HEADERS}}), fields, host=host)
    if told:
        assert refusal(answer) == told
        assert f"req schema validation failed{told}" in gateway.log
    else:
        assert (answer.status, answer.text) == (200, "hello")


def test_a_header_sent_twice_is_an_array(gateway: Gateway) -> None:
    schema = {"type": "object", "properties": {"X-Two": {"type": "string"}}}
    path = gateway.route({NAME: {"header_schema": schema}})
    assert gateway.ask(path, [("X-Two", "a")]).status == 200
    answer = gateway.ask(path, [("X-Two", "a"), ("X-Two", "b")])
    assert "wrong type: expected string, got table" in refusal(answer)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"required_payload": "hello", "array_payload": [301]}, None),
        ({"required_payload": "hello", "boolean_payload": True}, None),
        ({}, 'property "required_payload" is required'),
        (
            {"required_payload": 1},
            'property "required_payload" validation failed: wrong type: expected string, got '
            "number",
        ),
        (
            {"required_payload": "a", "enum_payload": "x"},
            'property "enum_payload" validation failed: matches none of the enum values',
        ),
        (
            {"required_payload": "a", "array_payload": []},
            'property "array_payload" validation failed: expect array to have at least 1 items',
        ),
        (
            {"required_payload": "a", "array_payload": [1000]},
            'property "array_payload" validation failed: failed to validate item 1: '
            "expected 1000 to be at most 599",
        ),
        (
            {"required_payload": "a", "regex_payload": "A"},
            'property "regex_payload" validation failed: failed to match pattern "^[a-z]+$" '
            'with "A"',
        ),
        (["a"], "wrong type: expected object, got table"),
        ("a", "wrong type: expected object, got string"),
    ],
)
def test_json(gateway: Gateway, body: Any, told: str | None) -> None:
    answer = post(gateway, {"body_schema": BODY}, body)
    if told:
        assert refusal(answer) == told
        assert f"req schema validation failed: {told}" in gateway.log
    else:
        assert answer.status == 200


def test_the_upstream_gets_what_was_checked(gateway: Gateway) -> None:
    """Of two keys of one name the last counts; defaults are filled in."""
    body = b'{"required_payload": 1, "required_payload": "b"}'
    assert post(gateway, {"body_schema": BODY}, body, "application/json").status == 200
    sent = gateway.upstream.last
    assert json.loads(sent.body) == {"required_payload": "b", "array_payload": [200]}
    assert sent.body.count(b"required_payload") == 1
    assert sent.headers.get("Content-Length") == str(len(sent.body))


def test_headers_before_bodies(gateway: Gateway) -> None:
    """The public documentation's example: a form, where the header must say JSON."""
    header_schema = {
        "type": "object",
        "required": ["Content-Type"],
        "properties": {"Content-Type": {"type": "string", "pattern": "^application/json$"}},
    }
    conf = {"header_schema": header_schema, "body_schema": BODY}
    told = (
        'property "Content-Type" validation failed: failed to match pattern '
        f'"^application/json$" with "{FORM}"'
    )
    assert refusal(post(gateway, conf, b"required_payload=a", FORM)) == told
    assert post(gateway, conf, {"required_payload": "a"}, "application/json").status == 200


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), f"{FORM}; charset=utf-8"])
def test_a_form(gateway: Gateway, content_type: str) -> None:
    body = b"required_payload=hello%20you&enum_payload=enum_string_1&more=1&more=2"
    assert post(gateway, {"body_schema": BODY}, body, content_type).status == 200
    assert gateway.upstream.last.body == body
    answer = post(gateway, {"body_schema": BODY}, b"enum_payload=enum_string_1", content_type)
    assert refusal(answer) == 'property "required_payload" is required'


def test_all_fields_of_a_form_are_seen(gateway: Gateway) -> None:
    schema = {"type": "object", "required": ["last"]}
    many = "&".join(f"a{i}=1" for i in range(200)) + "&last=1"
    assert post(gateway, {"body_schema": schema}, many.encode(), FORM).status == 200


def test_a_body_that_is_no_json(gateway: Gateway) -> None:
    answer = post(gateway, {"body_schema": BODY}, b"{a", "application/json")
    assert "Expected object key string but found invalid token" in refusal(answer)
    assert f"failed to decode the req body: {answer.text}" in gateway.log


def test_without_a_body(gateway: Gateway) -> None:
    path = gateway.route({NAME: {"body_schema": BODY}})
    assert gateway.ask(path, method="POST").status == 400
    path = gateway.route({NAME: {"body_schema": BODY, "rejected_msg": "no body"}})
    assert refusal(gateway.ask(path, method="POST")) == "no body"


def test_two_content_types(gateway: Gateway) -> None:
    path = gateway.route({NAME: {"body_schema": BODY}})
    fields = [("Content-Type", "application/json"), ("Content-Type", FORM)]
    asked = len(gateway.upstream.requests)
    answer = gateway.ask(path, fields, "POST", b'{"required_payload": "a"}')
    assert answer.status == 400
    assert len(gateway.upstream.requests) == asked


def test_bodies_may_be_too_large(gateway: Gateway) -> None:
    conf = {"body_schema": BODY, "max_req_body_size": 30, "rejected_msg": "too large"}
    assert post(gateway, conf, b'{"required_payload": "123456"}').status == 200
    assert refusal(post(gateway, conf, b'{"required_payload": "1234567"}')) == "too large"
    told = "request size 31 is greater than the maximum size 30 allowed"
    assert f"failed to get body: {told}" in gateway.log


@pytest.mark.parametrize("schemas", [{"header_schema": HEADERS}, {"body_schema": BODY}])
def test_code_and_message_may_be_chosen(gateway: Gateway, schemas: dict[str, Any]) -> None:
    conf = {**schemas, "rejected_code": 403, "rejected_msg": "Request validation failed."}
    answer = post(gateway, conf, {})
    assert (answer.status, answer.text) == (403, "Request validation failed.")


@pytest.mark.parametrize("kind", ["object", "array", "string", "number", "integer", "boolean"])
@pytest.mark.parametrize("of", ["header_schema", "body_schema"])
def test_schemas_that_are_taken(gateway: Gateway, of: str, kind: str) -> None:
    gateway.route({NAME: {of: {"type": kind}}})


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, "object matches none of the required"),
        ({"rejected_msg": "x"}, "object matches none of the required"),
        ({"body_schema": {"type": "test"}}, "invalid JSON type: test"),
        ({"header_schema": {"type": "test"}}, "invalid JSON type: test"),
        ({"body_schema": "x"}, 'property "body_schema" validation failed: wrong type'),
        ({"header_schema": 1}, 'property "header_schema" validation failed: wrong type'),
        ({"body_schema": BODY, "rejected_code": 199}, "expected 199 to be at least 200"),
        ({"body_schema": BODY, "rejected_code": 600}, "expected 600 to be at most 599"),
        ({"body_schema": BODY, "rejected_msg": ""}, "string too short, expected at least 1"),
        ({"body_schema": BODY, "rejected_msg": "x" * 257}, "string too long, expected at most 256"),
        ({"body_schema": BODY, "max_req_body_size": 0}, "expected 0 to be at least 1"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({NAME: conf})
    assert f"check the configuration of plugin {NAME} err: " in log
    assert reason in log
