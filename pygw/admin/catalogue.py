"""Owns the questions about schemas and plugins: /schema and /plugins. Touches no store.

Mirrors apisix.admin.schema and apisix.admin.plugins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pygw.admin.refusal import Refusal
from pygw.admin.resources import RESOURCES
from pygw.vm.checker import Checker

Query = Mapping[str, str]


class Catalogue:
    """What the checker's VM knows, as answers."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    def schema(self, segments: list[str], query: Query) -> Any:
        """/schema/<name> and /schema/plugins/<name>."""
        if segments[:1] == ["plugins"]:
            return self.plugins(segments[1:], query)
        name = "/".join(segments)
        schema = self._checker.schema(name)
        if schema is None:
            raise Refusal(400, f"not found schema: {name}")
        return schema

    def plugins(self, segments: list[str], query: Query) -> Any:
        """/plugins/list, /plugins?all=true and /plugins/<name>."""
        subsystem = query.get("subsystem", "http")
        if subsystem not in ("http", "stream"):
            is_list = segments == ["list"]
            text = "invalid subsystem passed" if is_list else f"unsupported subsystem: {subsystem}"
            raise Refusal(400, text)
        if segments == ["list"]:
            return self._checker.plugin_names() if subsystem == "http" else []
        if query.get("all") == "true":
            return self._checker.plugins() if subsystem == "http" else {}
        loaded, schema = False, None
        if subsystem == "http":
            loaded, schema = self._checker.plugin_schema(
                "/".join(segments), query.get("schema_type")
            )
        if not loaded:
            raise Refusal(404, f"plugin not found in subsystem {subsystem}")
        if schema is None:
            raise Refusal(400, "not found schema")
        return schema

    def validate(self, segments: list[str], text: bytes) -> None:
        """/schema/validate/<resource>: refuse (400) what the resource's schema does not allow."""
        name = "/".join(segments)
        resource = RESOURCES.get(name)
        if resource is None or resource.schema is None:
            raise Refusal(404, f"Unsupported resource type: {name}")
        fault = self._checker.fault(resource.schema, text)
        if fault is not None:
            raise Refusal(400, fault)
