"""The OpenAPI description: valid, of the schemas in force, of what the API really does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from pygw.admin.api import Api
from pygw.admin.dialect import modern
from pygw.admin.messages import Request
from pygw.admin.openapi import describe
from pygw.admin.resources import RESOURCES
from pygw.config.model import Settings
from pygw.config.settings import load
from pygw.vm.checker import Checker

Json = dict[str, Any]


@pytest.fixture(scope="module")
def description(checker: Checker) -> Json:
    return describe(checker, has_store=True)


def operations(description: Json) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, item in description["paths"].items()
        for method in item
        if method != "parameters"
    ]


@pytest.mark.parametrize("has_store", [True, False])
def test_it_is_valid(checker: Checker, has_store: bool) -> None:
    OpenAPIV31SpecValidator(describe(checker, has_store=has_store)).validate()


def test_it_is_valid_with_every_plugin_that_is_shipped() -> None:
    checker = Checker(load(None))
    try:
        OpenAPIV31SpecValidator(describe(checker, has_store=True)).validate()
    finally:
        checker.close()


def test_operations_have_names_of_their_own(description: Json) -> None:
    named = [
        operation["operationId"]
        for item in description["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(named) == len(set(named)) > 60


def test_every_resource_is_there_with_its_methods(description: Json) -> None:
    found: dict[str, set[str]] = {}
    for method, path in operations(description):
        for name in re.findall(r"^/(?:\w+/{\w+}/)?(\w+)(?:/{\w+})*$", path):
            found.setdefault(name, set()).add(method)
    for name, resource in RESOURCES.items():
        assert found[name] == {"GET", "PUT", "POST", "PATCH", "DELETE"} - resource.unsupported


def test_whatever_it_names_is_answered(client: Any, description: Json) -> None:
    unknown = (404, {"error_msg": "not found"})
    for method, path in operations(description):
        answer = client.ask(method, re.sub(r"{\w+}", "x", path).removeprefix("/"), {})
        assert (answer.status, answer.body) != unknown, (method, path)
        assert answer.status != 405, (method, path)
        assert "Unsupported resource" not in str(answer.body) or "validate" in path, (method, path)


def test_documents_are_those_of_the_plugins_loaded(description: Json) -> None:
    schemas = description["components"]["schemas"]
    plugins = schemas["routes"]["properties"]["plugins"]["properties"]
    assert plugins["t-count"] == {"$ref": "#/components/schemas/plugin.t-count"}
    assert schemas["plugin.t-count"]["required"] == ["count"]
    consumers = schemas["consumers"]["properties"]["plugins"]["properties"]
    assert consumers["key-auth"] == {"$ref": "#/components/schemas/plugin.key-auth.consumer"}


def test_it_is_served_to_who_has_a_key(client: Any) -> None:
    answer = client.ask("GET", "openapi.json", key="the-viewer-key")
    assert (answer.status, answer.body["openapi"]) == (200, "3.1.0")
    assert client.ask("GET", "openapi.json", key=None).status == 401


def test_without_a_store_it_is_of_configs(settings: Settings, checker: Checker) -> None:
    request = Request(
        "GET", "/apisix/admin/openapi.json", "127.0.0.1", lambda n: b"", {}, "the-admin-key"
    )
    paths = Api(settings, None, checker).answer(request).body["paths"]
    assert set(paths["/configs"]) == {"get", "head", "put"}
    assert "/routes" not in paths


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"dependencies": {"a": ["b"], "c": {"items": []}}},
            {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {}}},
        ),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"exclusiveMinimum": 1}, {"exclusiveMinimum": 1}),
        (
            {"items": [{"type": "string"}], "additionalItems": False},
            {"prefixItems": [{"type": "string"}], "items": False},
        ),
        ({"properties": []}, {"properties": {}}),
        ({"type": "array", "default": {}}, {"type": "array", "default": []}),
        ({"properties": {"items": [], "dependencies": True}}, None),
        (
            {"anyOf": [{"dependencies": {"a": ["b"]}}]},
            {"anyOf": [{"dependentRequired": {"a": ["b"]}}]},
        ),
        (
            {"enum": [[], {}], "default": [], "x-own": [1]},
            {"enum": [[], {}], "default": [], "x-own": [1]},
        ),
    ],
)
def test_schemas_of_old_drafts_are_said_anew(old: Json, new: Json | None) -> None:
    assert modern(old) == (new or {"properties": {"items": {}, "dependencies": True}})
