"""Owns the turning of schemas as plugins write them (JSON Schema, drafts 4 to 7) into 2020-12.

What is written the same way in both passes through, unknown words too. Must never judge a schema.
"""

from __future__ import annotations

from typing import Any

_MAPS = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas")
_SCHEMAS = (
    "additionalProperties",
    "additionalItems",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def modern(schema: Any) -> Any:
    """The schema in the words of 2020-12. An empty Lua table, which may come as [], is {}."""
    if not isinstance(schema, dict):
        return schema if isinstance(schema, bool) else {}
    result = {word: _value(word, value) for word, value in schema.items()}
    _split_dependencies(result)
    _move_bounds(result)
    if result.get("default") in ([], {}) and result.get("type") in ("array", "object"):
        result["default"] = [] if result["type"] == "array" else {}  # Lua has one table for both
    if isinstance(schema.get("items"), list):
        _split_items(result, schema["items"])
    return result


def _value(word: str, value: Any) -> Any:
    if word in _MAPS:
        table = value if isinstance(value, dict) else {}
        return {name: modern(part) for name, part in table.items()}
    if word in _SCHEMAS:
        return modern(value)
    if word in _LISTS and isinstance(value, list):
        return [modern(part) for part in value]
    return value


def _split_dependencies(schema: dict[str, Any]) -> None:
    given = schema.pop("dependencies", None)
    for name, needs in given.items() if isinstance(given, dict) else ():
        if isinstance(needs, list):
            schema.setdefault("dependentRequired", {})[name] = needs
        else:
            schema.setdefault("dependentSchemas", {})[name] = modern(needs)


def _move_bounds(schema: dict[str, Any]) -> None:
    """Draft 4 says `exclusiveMinimum: true` beside `minimum`."""
    for exclusive, inclusive in _BOUNDS:
        flag = schema.get(exclusive)
        if isinstance(flag, bool):
            del schema[exclusive]
            if flag and inclusive in schema:
                schema[exclusive] = schema.pop(inclusive)


def _split_items(schema: dict[str, Any], items: list[Any]) -> None:
    """A list of schemas, one for each place, is `prefixItems` now."""
    del schema["items"]
    if items:
        schema["prefixItems"] = [modern(part) for part in items]
    if "additionalItems" in schema:
        schema["items"] = schema.pop("additionalItems")
