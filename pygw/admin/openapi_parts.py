"""Owns the pieces of the OpenAPI description: operations, parameters, answers. Touches nothing."""

from __future__ import annotations

from typing import Any

from pygw.admin.resources import RESOURCES, Resource

Json = dict[str, Any]

SECURITY: Json = {
    "header": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
    "argument": {"type": "apiKey", "in": "query", "name": "api_key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "x_api_key"},
}

_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "integer"}


def _argument(name: str, text: str, schema: Json = _TEXT) -> Json:
    return {"name": name, "in": "query", "description": text, "schema": schema}


PARAMETERS: Json = {
    "ttl": _argument("ttl", "Seconds after which the resource goes.", {"type": "number"}),
    "force": _argument("force", "true: even if others refer to it.", {"enum": ["true", "false"]}),
    "page": _argument("page", "With page_size.", {"type": "integer", "minimum": 1}),
    "page_size": _argument(
        "page_size", "With page.", {"type": "integer", "minimum": 10, "maximum": 500}
    ),
    "name": _argument("name", "A regular expression for names."),
    "uri": _argument("uri", "A regular expression for one of the uris."),
    "label": _argument("label", "The name of a label."),
    "filter": _argument("filter", "Fields and values, encoded: service_id%3D1"),
    "subsystem": _argument("subsystem", "Of plugins.", {"enum": ["http", "stream"]}),
    "schema_type": _argument("schema_type", "Of plugins.", {"enum": ["consumer"]}),
    "all": _argument("all", "Describe all plugins.", {"enum": ["true"]}),
}

_REFUSALS = {
    "400": "What is asked for is wrong, and why.",
    "401": "No key, a wrong one, or one that may only read.",
    "403": "The address is not allowed.",
    "404": "There is no such thing.",
    "405": "The resource has not this method.",
    "413": "The body is too large.",
    "500": "A plugin failed at the check, or a stored value is unusable.",
    "503": "The store is away, or others keep changing the same key.",
}


def _content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


RESPONSES: Json = {
    status: {
        "description": text,
        "content": _content({"$ref": "#/components/schemas/error"}),
    }
    for status, text in _REFUSALS.items()
}

SCHEMAS: Json = {
    "error": {
        "type": "object",
        "properties": {"error_msg": _TEXT, "message": _TEXT, "description": _TEXT},
    },
    "deleted": {
        "type": "object",
        "properties": {"key": _TEXT, "deleted": {"const": "1"}},
        "required": ["key", "deleted"],
    },
    "faults": {
        "type": "object",
        "properties": {
            "error_msg": _TEXT,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "resource_type": _TEXT,
                        "resource_id": _TEXT,
                        "index": _NUMBER,
                        "error": _TEXT,
                    },
                    "required": ["resource_type", "error"],
                },
            },
        },
    },
    "configuration": {
        "type": "object",
        "description": "Lists of resources by name, and their versions as NAME_conf_version.",
    },
}


def path_parameter(name: str) -> Json:
    """A part of the path."""
    parameter: Json = {"name": name, "in": "path", "required": True, "schema": _TEXT}
    if name == "path":
        parameter["description"] = "Where in the document; it may hold slashes."
    return parameter


def _answers(*statuses: str, **own: Json) -> Json:
    shown = {status.removeprefix("is_"): answer for status, answer in own.items()}
    common = ("401", "403", *statuses)
    return shown | {
        status: {"$ref": f"#/components/responses/{status}"} for status in sorted(common)
    }


def _said(text: str, schema: Json | None = None) -> Json:
    return {"description": text, **({"content": _content(schema)} if schema else {})}


def _stored(document: Json, *, read: bool) -> Json:
    fields: Json = {"key": _TEXT, "value": document}
    if read:
        fields |= {"createdIndex": _NUMBER, "modifiedIndex": _NUMBER}
    return {"type": "object", "properties": fields, "required": list(fields)}


def _named(*names: str) -> list[Json]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _body(schema: Json) -> Json:
    return {"required": True, "content": _content(schema)}


def operation(resource: Resource, method: str, document: Json, is_item: bool) -> Json:
    """One method of a resource; is_item: the URL says which one it is."""
    where = "" if is_item or method == "post" else "_by_body"
    own: Json = {
        "operationId": f"{method}_{resource.name}{where}",
        "tags": [resource.name],
    }
    if method == "get":
        shown = _said("The item", _stored(document, read=True))
        return {**own, "responses": _answers("404", "500", "503", is_200=shown)}
    if method == "delete":
        gone = _said("It is gone", {"$ref": "#/components/schemas/deleted"})
        answers = _answers("400", "404", "503", is_200=gone)
        return {**own, "parameters": _named("force"), "responses": answers}
    written = {"is_201": _said("It is there", _stored(document, read=False))}
    if method != "post":
        written["is_200"] = _said("It has changed", _stored(document, read=False))
    body = {"type": "object"} if method == "patch" else document
    answers = _answers("400", "404", "413", "500", "503", **written)
    if method == "patch":
        del answers["201"]
    return {**own, "parameters": _named("ttl"), "requestBody": _body(body), "responses": answers}


def sub_path_operation(resource: Resource, document: Json) -> Json:
    """PATCH of what stands at a path in an item."""
    changed = _said("It has changed", _stored(document, read=False))
    return {
        "operationId": f"patch_{resource.name}_at_path",
        "tags": [resource.name],
        "parameters": _named("ttl"),
        "requestBody": _body({}),
        "responses": _answers("400", "404", "413", "500", "503", is_200=changed),
    }


def list_operation(resource: Resource, document: Json) -> Json:
    """GET of all items."""
    listed: Json = {
        "type": "object",
        "properties": {
            "total": _NUMBER,
            "list": {"type": "array", "items": _stored(document, read=True)},
        },
        "required": ["total", "list"],
    }
    names = ["page", "page_size", "name", "uri", "label", *(["filter"] if resource.filters else [])]
    return {
        "operationId": f"list_{resource.name}",
        "tags": [resource.name],
        "parameters": _named(*names),
        "responses": _answers("400", "404", "503", is_200=_said("The items", listed)),
    }


def _reading(operation_id: str, tag: str, schema: Json, *arguments: str) -> Json:
    return {
        "operationId": operation_id,
        "tags": [tag],
        "parameters": _named(*arguments),
        "responses": _answers("400", "404", is_200=_said("What is known", schema)),
    }


_FAULTS: Json = {
    "description": "What is wrong, item by item",
    "content": _content({"$ref": "#/components/schemas/faults"}),
}
_CONFIGURATION: Json = {
    kind: {"schema": {"$ref": "#/components/schemas/configuration"}}
    for kind in ("application/json", "application/yaml")
}
_DIGEST: Json = {"name": "X-Digest", "in": "header", "required": True, "schema": _TEXT}

RELOAD: Json = {
    "put": {
        "operationId": "reload_plugins",
        "tags": ["plugins"],
        "responses": _answers(
            is_200={
                "description": "All workers are told",
                "content": {"text/plain": {"schema": {"const": "done\n"}}},
            }
        ),
    }
}

CONFIGS: Json = {
    "get": {
        "operationId": "get_configs",
        "tags": ["configs"],
        "responses": _answers(
            "500", is_200={"description": "The configuration in force", "content": _CONFIGURATION}
        ),
    },
    "head": {
        "operationId": "head_configs",
        "tags": ["configs"],
        "responses": _answers("500", is_200={"description": "Its X-Digest and X-Last-Modified"}),
    },
    "put": {
        "operationId": "put_configs",
        "tags": ["configs"],
        "parameters": [_DIGEST],
        "requestBody": {"required": True, "content": _CONFIGURATION},
        "responses": _answers(
            "400",
            "413",
            "500",
            is_202={"description": "It is in force"},
            is_204={"description": "It was already: the digest is the same"},
        ),
    },
}


def common_paths() -> Json:
    """What is there with a store and without."""
    schema: Json = {"type": ["object", "boolean"]}
    resources = [resource.name for resource in RESOURCES.values() if resource.schema]
    return {
        "/openapi.json": {"get": _reading("get_openapi", "schemas", {"type": "object"})},
        "/plugins/list": {
            "get": _reading(
                "list_plugins", "plugins", {"type": "array", "items": _TEXT}, "subsystem"
            )
        },
        "/plugins": {
            "get": _reading("get_plugins", "plugins", {"type": "object"}, "all", "subsystem")
        },
        "/plugins/{name}": {
            "parameters": [path_parameter("name")],
            "get": _reading("get_plugin", "plugins", schema, "subsystem", "schema_type"),
        },
        "/schema/{name}": {
            "parameters": [path_parameter("name")],
            "get": _reading("get_schema", "schemas", schema),
        },
        "/schema/validate/{resource}": {
            "parameters": [{**path_parameter("resource"), "schema": {"enum": resources}}],
            "post": {
                "operationId": "validate",
                "tags": ["schemas"],
                "requestBody": _body({}),
                "responses": _answers("400", "404", "413", is_200=_said("The schema allows it")),
            },
        },
        "/configs/validate": {
            "post": {
                "operationId": "validate_configs",
                "tags": ["configs"],
                "requestBody": {"required": True, "content": _CONFIGURATION},
                "responses": {
                    **_answers("413", is_200=_said("All of it is allowed", {"type": "object"})),
                    "400": _FAULTS,
                },
            }
        },
    }
