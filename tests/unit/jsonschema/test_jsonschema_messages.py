"""The messages of generated validators: APISIX's users see them, so they are the contract."""

import json
from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]

CHECK = """
local schema, data = ...
local cjson = require "cjson.safe"
local validate = require("jsonschema").generate_validator(cjson.decode(schema))
return validate(cjson.decode(data))
"""


def check(run_lua: RunLua, schema: Any, data: Any) -> Any:
    return run_lua(CHECK, json.dumps(schema).encode(), json.dumps(data).encode())


NESTED = {
    "properties": {"a": {"items": {"properties": {"b": {"type": "string"}}}}},
}

FAILURES = [
    ({"type": "integer"}, "x", "wrong type: expected integer, got string"),
    ({"type": "integer"}, 1.5, "wrong type: expected integer, got number"),
    ({"type": "string"}, None, "wrong type: expected string, got userdata"),
    ({"type": "object"}, [1], "wrong type: expected object, got table"),
    ({"type": "array"}, {"a": 1}, "wrong type: expected array, got table"),
    ({"type": ["string", "null"]}, 1, "wrong type: expected one of string, null, got number"),
    (
        {"properties": {"count": {"type": "integer"}}},
        {"count": "1"},
        'property "count" validation failed: wrong type: expected integer, got string',
    ),
    (
        NESTED,
        {"a": [{"b": "x"}, {"b": 1}]},
        'property "a" validation failed: failed to validate item 2: '
        'property "b" validation failed: wrong type: expected string, got number',
    ),
    (
        {"properties": {"q\"'\\\n": {"type": "integer"}}},
        {"q\"'\\\n": "1"},
        'property "q"\'\\\n" validation failed: wrong type: expected integer, got string',
    ),
    ({"required": ["x"]}, {"y": 1}, 'property "x" is required'),
    ({"properties": {"x": {}}, "required": ["x"]}, {}, 'property "x" is required'),
    ({"required": ["b", "a"]}, {}, 'property "b" is required'),
    ({"required": []}, {"a": 1}, "the input data should be an empty table"),
    (
        {"properties": {"x": {}}, "additionalProperties": False},
        {"y": 1},
        "additional properties forbidden, found y",
    ),
    (
        {"additionalProperties": {"type": "string"}},
        {"y": 1},
        "failed to validate additional property y: wrong type: expected string, got number",
    ),
    (
        {"patternProperties": {"^x\\d": {"type": "string"}}},
        {"x1": 1},
        'failed to validate x1 (matching "^x\\d"): wrong type: expected string, got number',
    ),
    ({"minProperties": 2}, {"a": 1}, "expect object to have at least 2 properties"),
    ({"maxProperties": 1}, {"a": 1, "b": 2}, "expect object to have at most 1 properties"),
    ({"dependencies": {"a": ["b"]}}, {"a": 1}, 'property "b" is required when "a" is set'),
    (
        {"properties": {"a": {}}, "dependencies": {"a": ["b"]}},
        {"a": 1},
        'property "b" is required when "a" is set',
    ),
    (
        {"dependencies": {"a": {"required": ["b"]}}},
        {"a": 1},
        'failed to validate dependent schema for "a": property "b" is required',
    ),
    ({"propertyNames": False}, {"a": 1}, "expect false always"),
    (
        {"propertyNames": {"maxLength": 1}},
        {"ab": 1},
        "invalid property name ab: string too long, expected at most 1, got 2",
    ),
    ({"minItems": 2}, [1], "expect array to have at least 2 items"),
    ({"maxItems": 1}, [1, 2], "expect array to have at most 1 items"),
    ({"items": {"type": "string"}}, ["a", 1], "failed to validate item 2: "),
    ({"items": [{}, {"type": "string"}]}, [1, 1], "failed to validate item 2: "),
    (
        {"items": [{}], "additionalItems": False},
        [1, 2],
        "found unexpected extra items in array",
    ),
    (
        {"items": [{}], "additionalItems": {"type": "string"}},
        [1, 2],
        "failed to validate additional item 2: wrong type: expected string, got number",
    ),
    ({"uniqueItems": True}, [1, 2, 1], "expected unique items but items 1 and 3 are equal"),
    (
        {"uniqueItems": True},
        [{"a": [1]}, 1, {"a": [1]}],
        "expected unique items but items 1 and 3 are equal",
    ),
    ({"contains": {"type": "string"}}, [1], "failed to check contains"),
    ({"contains": {}}, [], "check contains: empty array is invalid"),
    ({"minLength": 3}, "日本", "string too short, expected at least 3, got 2"),
    ({"maxLength": 1}, "日本", "string too long, expected at most 1, got 2"),
    ({"pattern": "^\\d+%$"}, "x\n", 'failed to match pattern "^\\\\d+%$" with "x\\\n"'),
    ({"pattern": "[[:alpha:]]"}, "1", 'failed to match pattern "[[:alpha:]]" with "1"'),
    ({"minimum": 10}, 5, "expected 5 to be at least 10"),
    ({"maximum": 10}, 11, "expected 11 to be at most 10"),
    ({"exclusiveMinimum": 0}, 0, "expected 0 to be greater than 0"),
    ({"exclusiveMaximum": 1.5}, 1.5, "expected 1.5 to be smaller than 1.5"),
    ({"minimum": 3, "exclusiveMinimum": True}, 3, "expected 3 to be greater than 3"),
    ({"maximum": 3, "exclusiveMaximum": True}, 3, "expected 3 to be smaller than 3"),
    ({"multipleOf": 2}, 3, "expected 3 to be a multiple of 2"),
    ({"multipleOf": 0.01}, 0.015, "expected 0.015 to be a multiple of 0.01"),
    ({"enum": ["a", 1, None, {"b": 1}]}, "b", "matches none of the enum values"),
    ({"const": {"a": [1]}}, {"a": [2]}, "failed to check const value"),
    (
        {"allOf": [{}, {"type": "string"}]},
        1,
        "allOf 2 failed: wrong type: expected string, got number",
    ),
    (
        {"anyOf": [{"required": ["a"]}, {"required": ["b", "c"]}]},
        {},
        'object matches none of the required: ["a"] or ["b","c"]',
    ),
    ({"anyOf": [{"type": "string"}]}, 1, "object matches none of the required"),
    (
        {"oneOf": [{"type": "string"}]},
        1,
        "value should match only one schema, but matches none",
    ),
    (
        {"oneOf": [{"type": "string"}, {"minimum": 1}, {"type": "integer"}]},
        1,
        "value should match only one schema, but matches both schemas 2 and 3",
    ),
    ({"not": {"type": "string"}}, "x", "value wasn't supposed to match schema"),
    ({"if": {}, "then": False}, 1, "then clause did not match"),
    ({"if": False, "else": False}, 1, "else clause did not match"),
    ({"format": "ipv4"}, "1.2.3.256", "expect valid ipv4 format but got: 1.2.3.256"),
    ({"format": "email"}, "nobody", "expect valid email format but got: nobody"),
    (False, 1, "expect false always"),
]


@pytest.mark.parametrize(("schema", "data", "message"), FAILURES)
def test_a_failure_has_its_message(run_lua: RunLua, schema: Any, data: Any, message: str) -> None:
    ok, got = check(run_lua, schema, data)
    assert ok is False
    assert got.startswith(message) if message.endswith(": ") else got == message


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (True, None),
        ({}, None),
        ({"type": "integer"}, 1.0),
        ({"type": "null"}, None),
        ({"type": "object"}, []),
        ({"type": "array"}, {}),
        ({"required": []}, {}),
        ({"enum": [None]}, None),
        ({"enum": [{"b": [1]}]}, {"b": [1]}),
        ({"items": {"type": "string"}}, "no array"),
        ({"items": False}, []),
        ({"contains": {"type": "string"}}, "no array"),
        ({"minLength": 2, "maxLength": 2}, "日本"),
        ({"multipleOf": 0.01}, 1.13),
        ({"format": "unknown"}, "x"),
        ({"format": "ipv6"}, 6),
        ({"additionalProperties": True}, {"a": 1}),
        ({"propertyNames": True, "const": {"a": 1}}, {"a": 1}),
    ],
)
def test_what_is_valid_passes_without_a_message(run_lua: RunLua, schema: Any, data: Any) -> None:
    assert check(run_lua, schema, data) is True


def test_of_several_failures_the_first_property_by_name_is_reported(run_lua: RunLua) -> None:
    schema = {"properties": {name: {"type": "string"} for name in "edcba"}}
    for order in ("abcde", "edcba", "cadeb"):
        ok, message = check(run_lua, schema, dict.fromkeys(order, 1))
        assert message.startswith('property "a" validation failed')


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("ipv4", ["127.0.0.1", "0.0.0.0"], ["127.0.0.-1", "127.0.0", "1.1.1.1.1", "::1", ""]),
        ("ipv6", ["::1", "fe80::fe80", "1::", "::ffff:1.2.3.4"], ["g::", "", "1:2", "[::1]"]),
        ("email", ["foo@bar.com", "a.b_c-d@e.f-g.org"], ["foo#bar.com", "@b.com", "a@b"]),
        ("hostname", ["a.b-c", "x"], ["local host", "a_b", ""]),
        ("uuid", ["550E8400-e29b-41d4-a716-446655440000"], ["550e8400e29b41d4a716446655440000"]),
        ("date", ["2024-12-31"], ["2024-13-01", "2024-01-00", "01-15-2024", "2024-1-1"]),
        (
            "date-time",
            ["2024-01-15T10:30:00Z", "2024-01-15t10:30:00.123-05:00"],
            ["2024-01-15", "2024-01-15T10:30:00", "2024-01-15T25:30:00Z"],
        ),
        ("uri", ["https://a/b", "mailto:a@b", "foo:"], ["example.com", "1a:b", "a:b c"]),
    ],
)
def test_formats(run_lua: RunLua, format: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if check(run_lua, {"format": format}, text) is not True] == []
    assert [text for text in bad if check(run_lua, {"format": format}, text) is True] == []
