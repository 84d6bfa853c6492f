"""Owns the description of the API as OpenAPI 3.1, made of the schemas that are in force.

What the paths are it learns from `resources.py`, what documents are from the checker. Must never
say what the API does not do.
"""

from __future__ import annotations

from typing import Any

from pygw import __version__
from pygw.admin import openapi_parts as parts
from pygw.admin.dialect import modern
from pygw.admin.resources import PLUGIN_METADATA, RESOURCES, SECRETS, Resource
from pygw.vm.checker import Checker

Json = dict[str, Any]


def describe(checker: Checker, *, has_store: bool) -> Json:
    """The description. has_store: resources are there; else the whole configuration is."""
    plugins = checker.plugins()
    paths = parts.common_paths()
    if has_store:
        paths["/plugins/reload"] = parts.RELOAD
        for resource in RESOURCES.values():
            paths |= _resource_paths(resource)
    else:
        paths["/configs"] = parts.CONFIGS
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Admin API of pygw",
            "version": __version__,
            "description": "Resources of the gateway. The schemas are those of the plugins loaded.",
        },
        "servers": [{"url": "/apisix/admin"}],
        "security": [{"header": []}, {"argument": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "securitySchemes": parts.SECURITY,
            "parameters": parts.PARAMETERS,
            "responses": parts.RESPONSES,
            "schemas": {
                **parts.SCHEMAS,
                **_plugin_schemas(plugins),
                **_documents(checker, plugins),
            },
        },
    }


# Schemas


def _plugin_schemas(plugins: Json) -> Json:
    """`plugin.NAME`, and `plugin.NAME.consumer` and `.metadata` where a plugin has them."""
    kinds = {"schema": "", "consumer_schema": ".consumer", "metadata_schema": ".metadata"}
    return {
        f"plugin.{name}{suffix}": modern(plugin[kind])
        for name, plugin in plugins.items()
        for kind, suffix in kinds.items()
        if plugin.get(kind) is not None
    }


def _documents(checker: Checker, plugins: Json) -> Json:
    """A schema for each kind of resource, the plugins' own inside."""
    found = {
        resource.name: modern(checker.schema(resource.schema))
        for resource in RESOURCES.values()
        if resource.schema
    }
    for name, schema in found.items():
        fields = schema.get("properties", {})
        if "plugins" in fields and name != "stream_routes":
            kind = "consumer_schema" if name in ("consumers", "credentials") else "schema"
            fields["plugins"] = {**fields["plugins"], "properties": _choices(plugins, kind)}
    metadata = [f"plugin.{name}.metadata" for name in plugins if "metadata_schema" in plugins[name]]
    anything: Json = {"type": "object"}
    found[PLUGIN_METADATA.name] = (
        {"anyOf": [_schema(name) for name in metadata]} if metadata else anything
    )
    found[SECRETS.name] = {**anything, "description": "What the manager's own schema asks for."}
    return found


def _choices(plugins: Json, kind: str) -> Json:
    suffix = ".consumer" if kind == "consumer_schema" else ""
    return {
        name: _schema(f"plugin.{name}{suffix if plugin.get(kind) is not None else ''}")
        for name, plugin in plugins.items()
        if plugin.get(kind) is not None or plugin.get("schema") is not None
    }


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


# Paths


def _resource_paths(resource: Resource) -> Json:
    """All of its items, one item, and what stands in an item."""
    base = f"/{resource.name}"
    names = [_id_name(resource)]
    if resource.owners:
        owner = _id_name(resource.owners)
        base, names = f"/{resource.owners.name}/{{{owner}}}{base}", [owner, f"{resource.schema}_id"]
    elif resource is SECRETS:
        names = ["manager", "id"]
    *above, own = names
    item = base + "".join(f"/{{{name}}}" for name in (above if resource is SECRETS else []))
    paths = {
        base: _operations(resource, ("list", "post", "put"), above if resource.owners else []),
        f"{item}/{{{own}}}": _operations(resource, ("get", "put", "patch", "delete"), names),
    }
    if resource is SECRETS:
        paths = {base: {"get": _list(resource)}, **dict(list(paths.items())[1:])}
    if "PATCH" not in resource.unsupported:
        inner = parts.sub_path_operation(resource, _schema(resource.name))
        paths[f"{item}/{{{own}}}/{{path}}"] = {
            "parameters": [parts.path_parameter(name) for name in (*names, "path")],
            "patch": inner,
        }
    return paths


def _id_name(resource: Resource) -> str:
    return {"consumers": "username", "plugin_metadata": "plugin"}.get(resource.name, "id")


def _operations(resource: Resource, which: tuple[str, ...], names: list[str]) -> Json:
    found: Json = {"parameters": [parts.path_parameter(name) for name in names]}
    for method in which:
        if method == "list":
            found["get"] = _list(resource)
        elif method.upper() not in resource.unsupported:
            is_item = "get" in which
            if method == "put" and not is_item and resource is PLUGIN_METADATA:
                continue  # its name stands in the URL alone
            found[method] = parts.operation(resource, method, _schema(resource.name), is_item)
    return found


def _list(resource: Resource) -> Json:
    return parts.list_operation(resource, _schema(resource.name))
