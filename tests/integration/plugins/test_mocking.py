"""The plugin mocking as clients meet it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gevent
import pytest
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["mocking"])


def ask(gateway: Gateway, conf: dict[str, Any], query: str = "") -> Answer:
    """The answer on a new route; the upstream must not be asked."""
    asked = len(gateway.upstream.requests)
    answer = gateway.ask(gateway.route({"mocking": conf}) + query)
    assert len(gateway.upstream.requests) == asked
    return answer


def schema(**properties: Any) -> dict[str, Any]:
    """A configuration with a schema of these properties."""
    return {"response_schema": {"type": "object", "properties": properties}}


def test_an_example(gateway: Gateway) -> None:
    text = '{"Lastname":"Brown","Age":56}'
    answer = ask(gateway, {"response_example": text, "response_status": 201})
    assert (answer.status, answer.text) == (201, text)


def test_defaults(gateway: Gateway) -> None:
    answer = ask(gateway, {"response_example": "x"})
    assert answer.status == 200
    assert answer.headers.get("Content-Type") == "application/json;charset=utf8"
    assert answer.headers.get("x-mock-by") == "APISIX/3.18.0"


def test_no_word_of_mocking(gateway: Gateway) -> None:
    conf = {"response_example": "x", "with_mock_header": False}
    assert "x-mock-by" not in ask(gateway, conf).headers


@pytest.mark.parametrize(
    ("example", "text"),
    [
        ("remote_addr:$remote_addr", "remote_addr:127.0.0.1"),
        ("arg: ${arg_a}!", "arg: 1!"),
        ("empty_var:$foo", "empty_var:"),
    ],
)
def test_variables_in_an_example(gateway: Gateway, example: str, text: str) -> None:
    assert ask(gateway, {"response_example": example}, "?a=1").text == text


def test_headers(gateway: Gateway) -> None:
    headers = {"X-User-Id": 100, "X-Product-Id": "apac-398-472", "X-From": "$remote_addr"}
    answer = ask(gateway, {"response_example": "x", "response_headers": headers})
    assert answer.headers.get("X-User-Id") == "100"
    assert answer.headers.get("X-Product-Id") == "apac-398-472"
    assert answer.headers.get("X-From") == "127.0.0.1"


def test_an_example_wins_over_a_schema(gateway: Gateway) -> None:
    conf = {**schema(a={"type": "string"}), "response_example": "x"}
    assert ask(gateway, conf).text == "x"


@pytest.mark.parametrize(
    ("kind", "example", "value"),
    [
        ("string", "abcd", "abcd"),
        ("number", 192.168, 192.168),
        ("integer", 155, 155),
        ("integer", 155.9, 155),
        ("boolean", True, True),
        ("INTEGER", 1, 1),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_examples_in_a_schema(
    gateway: Gateway, kind: str, example: Any, value: Any, content_type: str
) -> None:
    conf = {**schema(a={"type": kind, "example": example}), "content_type": content_type}
    answer = ask(gateway, conf)
    assert answer.json() == {"a": value}
    assert type(answer.json()["a"]) is type(value)
    assert answer.headers.get("Content-Type") == content_type


def test_an_example_that_is_false(gateway: Gateway, plugin_source: Path | None) -> None:
    """APISIX takes it for no example."""
    path = gateway.route({"mocking": schema(a={"type": "boolean", "example": False})})
    seen = {gateway.ask(path).json()["a"] for _ in range(20)}
    assert seen == ({True, False} if plugin_source else {False})


@pytest.mark.parametrize("example", [{}, {"example": []}])
def test_random_values(gateway: Gateway, example: dict[str, Any]) -> None:
    kinds = ("string", "number", "integer", "boolean")
    path = gateway.route({"mocking": schema(**{kind: {"type": kind, **example} for kind in kinds})})
    seen = [gateway.ask(path).json() for _ in range(20)]
    for made in seen:
        assert re.fullmatch("[a-z]{1,10}", made["string"])
        assert 0 <= made["number"] < 10000
        assert type(made["integer"]) is int
        assert 1 <= made["integer"] <= 10000
        assert type(made["boolean"]) is bool
    for kind in kinds:
        assert len({made[kind] for made in seen}) > 1


def test_objects_and_arrays(gateway: Gateway) -> None:
    """The public documentation's example."""
    inner = {
        "random_bool": {"type": "boolean", "example": True},
        "random_int_arr": {"type": "array", "items": {"type": "integer", "example": 155}},
    }
    outer = {
        "random_str": {"type": "string"},
        "child_nested_obj": {"type": "object", "properties": inner},
    }
    made = ask(
        gateway,
        schema(
            id={"type": "string", "example": "abcd"},
            random_str_arr={"type": "array", "items": {"type": "string"}},
            nested_obj={"type": "object", "properties": outer},
        ),
    ).json()
    assert made["id"] == "abcd"
    assert 1 <= len(made["random_str_arr"]) <= 3
    assert all(re.fullmatch("[a-z]{1,10}", each) for each in made["random_str_arr"])
    child = made["nested_obj"]["child_nested_obj"]
    assert child["random_bool"] is True
    assert set(child["random_int_arr"]) == {155}


def test_what_a_schema_does_not_say(gateway: Gateway) -> None:
    conf = schema(none={"type": "array"}, other={"type": "null"}, empty={"type": "object"})
    assert ask(gateway, conf).json() == {"empty": {}}
    assert ask(gateway, {"response_schema": {}}).json() == {}


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml", "text/xml; charset=utf-8"])
def test_xml(gateway: Gateway, content_type: str) -> None:
    conf = schema(
        id={"type": "string", "example": "abcd"},
        empty={"type": "string", "example": ""},
        many={"type": "array", "items": {"type": "integer", "example": 7}},
        nested={"type": "object", "properties": {"b": {"type": "boolean", "example": True}}},
    )
    text = ask(gateway, {**conf, "content_type": content_type}).text
    tree = ElementTree.fromstring(text)
    assert tree.tag == "data"
    assert {child.tag for child in tree} == {"id", "empty", "many", "nested"}
    assert tree.findtext("id") == "abcd"
    assert {child.text for child in tree.iter("many")} == {"7"}
    assert tree.findtext("nested/b") == "true"
    lines = text.split("\n")
    assert "  <empty/>" in lines
    assert lines[lines.index("  <nested>") + 1] == "    <b>true</b>"


def test_xml_of_one_value(gateway: Gateway) -> None:
    conf = {**schema(a={"type": "string", "example": "x"}), "content_type": "application/xml"}
    assert ask(gateway, conf).text == "<data>x</data>"


def test_xml_is_valid(gateway: Gateway, plugin_source: Path | None) -> None:
    """APISIX writes what is in a text as it is."""
    conf = {**schema(a={"type": "string", "example": "<a&b>"}), "content_type": "application/xml"}
    text = "<a&b>" if plugin_source else "&lt;a&amp;b&gt;"
    assert ask(gateway, conf).text == f"<data>{text}</data>"


def test_no_html_by_a_schema(gateway: Gateway) -> None:
    answer = ask(gateway, {**schema(a={"type": "string"}), "content_type": "text/html"})
    assert (answer.status, answer.text) == (200, "")
    assert "json schema body only support xml and json content type" in gateway.log


def test_an_example_may_be_html(gateway: Gateway) -> None:
    conf = {"response_example": "<p>", "content_type": "text/html;charset=utf-8"}
    answer = ask(gateway, conf)
    assert answer.text == "<p>"
    assert answer.headers.get("Content-Type") == "text/html;charset=utf-8"


def test_delay(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(VirtualClock(), plugins=["mocking"])
    path = gateway.route({"mocking": {"response_example": "late", "delay": 3}})
    other = gateway.route({"mocking": {"response_example": "at once"}})
    asking = gevent.spawn(gateway.ask, path)
    for _ in range(2):  # when the second one is answered, the first one waits
        assert gateway.ask(other).text == "at once"
    advance(gateway, 2.9)
    assert gateway.ask(other).text == "at once"
    assert not asking.ready()
    advance(gateway, 0.2)
    assert asking.get(timeout=20).text == "late"


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, "object matches none of the required"),
        ({"response_example": 1}, 'property "response_example" validation failed: wrong type'),
        ({"response_schema": "x"}, 'property "response_schema" validation failed: wrong type'),
        ({"response_example": "x", "response_status": 99}, "expected 99 to be at least 100"),
        ({"response_example": "x", "delay": 0.5}, 'property "delay" validation failed'),
        ({"response_example": "x", "content_type": "image/png"}, "unsupported content type!"),
        ({"response_example": "x", "content_type": ""}, "unsupported content type!"),
        ({"response_example": "x", "with_mock_header": 1}, 'property "with_mock_header"'),
        ({"response_example": "x", "response_headers": {}}, 'property "response_headers"'),
        ({"response_example": "x", "response_headers": {"a": []}}, 'property "response_headers"'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"mocking": conf})
    assert "check the configuration of plugin mocking err: " in log
    assert reason in log
