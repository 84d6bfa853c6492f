"""Owns what a plugin's `schema` may be: JSON Schema, a msgspec Struct type or a pydantic model.

msgspec and pydantic are looked at only when a plugin has loaded them. Must never know of requests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

KINDS = ("schema", "consumer_schema", "metadata_schema")


class Conf(dict[str, Any]):
    """A configuration whose schema is a dict. Requests share it: do not change it.

    `metadata` is what /plugin_metadata says of the plugin, as `Plugin.metadata`.
    """

    __slots__ = ("_metadata",)

    def __init__(self, values: dict[str, Any], metadata: Callable[[], Any]) -> None:
        super().__init__(values)
        self._metadata = metadata

    @property
    def metadata(self) -> Any:
        """The plugin's metadata, as it is now."""
        return self._metadata()


def is_typed(schema: Any) -> bool:
    """Whether it is a type whose instances configurations become."""
    return _library(schema) is not None


def json_schema(schema: Any) -> dict[str, Any]:
    """The JSON Schema of a schema; raises TypeError or ValueError when there is none."""
    library = _library(schema)
    if library == "msgspec":
        made: dict[str, Any] = sys.modules["msgspec.json"].schema(schema)
    elif library == "pydantic":
        made = schema.model_json_schema()
    elif isinstance(schema, dict):
        return schema
    else:
        raise TypeError(
            "it must be a JSON Schema (a dict), a msgspec Struct type or a pydantic model, not"
            f" {schema!r}"
        )
    inlined: dict[str, Any] = _inlined(made, made.get("$defs") or {}, ())
    return inlined


def convert(schema: Any, values: dict[str, Any]) -> Any:
    """The configuration as an instance of a typed schema; raises ValueError with what is wrong."""
    given = {name: value for name, value in values.items() if name != "_meta"}
    if _library(schema) == "msgspec":
        return sys.modules["msgspec"].convert(given, schema)
    return schema.model_validate(given)


def _library(schema: Any) -> str | None:
    if not isinstance(schema, type):
        return None
    for library, base in (("msgspec", "Struct"), ("pydantic", "BaseModel")):
        module = sys.modules.get(library)
        if module is not None and issubclass(schema, getattr(module, base)):
            return library
    return None


def _inlined(node: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    """The schema without references: what is added to its properties must reach them."""
    if isinstance(node, list):
        return [_inlined(each, definitions, inside) for each in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        if name in inside:
            raise ValueError(f"the type {name} contains itself, which JSON Schema here cannot say")
        rest = {key: value for key, value in node.items() if key not in ("$ref", "$defs")}
        if rest.get("default") == {}:  # Lua's would allow nothing else; the type fills it in
            del rest["default"]
        found = _inlined(definitions[name], definitions, (*inside, name))
        return {**found, **_inlined(rest, definitions, inside)}
    return {
        key: _inlined(value, definitions, inside)
        for key, value in node.items()
        if key != "$defs" and (key, value) != ("required", [])  # Lua takes [] for an object
    }
