"""A whole configuration: judged item by item, replaced list by list. Answers are APISIX's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pygw.admin import whole
from pygw.admin.api import Api
from pygw.admin.messages import NOTHING, Answer, Request
from pygw.config.build import build
from pygw.config.model import Settings
from pygw.config.pushed import pushed_file
from pygw.config.yamlfile import Document
from pygw.vm.checker import Checker

NODES = {"type": "roundrobin", "nodes": {"127.0.0.1:1980": 1}}
ROUTE = {"id": "r", "uri": "/hello", "upstream": NODES}


class Configs:
    """Asks an API without a store about /configs."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def ask(self, method: str, path: str, body: Any = NOTHING, **headers: str) -> Answer:
        raw = b"" if body is NOTHING else body
        text = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.answer(
            Request(
                method,
                f"/apisix/admin/{path}",
                "127.0.0.1",
                lambda limit: text[: limit + 1],
                {},
                "the-admin-key",
                named,
            )
        )

    def put(self, digest: str, body: Any, **headers: str) -> Answer:
        return self.ask("PUT", "configs", body, x_digest=digest, **headers)

    def refused(self, *request: Any, **headers: str) -> tuple[int, str]:
        answer = self.ask(*request, **headers)
        return answer.status, answer.body["error_msg"]

    def shown(self) -> dict[str, Any]:
        body: dict[str, Any] = self.ask("GET", "configs").body
        return body


@pytest.fixture
def standalone(settings: Settings, tmp_path: Path) -> Settings:
    """The settings of a directory of its own."""
    return build(dict(settings.merged), Document(settings.source), tmp_path, ())


@pytest.fixture
def configs(standalone: Settings, checker: Checker) -> Configs:
    return Configs(Api(standalone, None, checker))


# What is wrong


def test_every_fault_is_told_at_once(configs: Configs) -> None:
    wrong = {
        "routes_conf_version": "1",
        "routes": [{"id": "a", "uri": 1}, ROUTE, {**ROUTE, "plugins": {"nope": {}}}, 5],
        "upstreams": {},
        "consumers": [{"username": "jack"}, {"username": "jack"}],
        "secrets": [{"id": "vault", "uri": "http://127.0.0.1"}],
    }
    answer = configs.ask("POST", "configs/validate", wrong)
    assert (answer.status, answer.body["error_msg"]) == (400, "Configuration validation failed")
    found = [
        (each["resource_type"], each.get("index"), each.get("resource_id"), each["error"][:40])
        for each in answer.body["errors"]
    ]
    assert found == [
        ("routes", None, None, "routes_conf_version must be a number"),
        ("routes", 0, "a", 'invalid configuration: property "uri" va'),
        ("routes", 2, "r", "unknown plugin [nope]"),
        ("routes", 2, "r", "found duplicate id r in routes"),
        ("routes", 3, "", "invalid configuration: wrong type: expec"),
        ("upstreams", None, None, "upstreams must be a list"),
        ("consumers", 1, "jack", "found duplicate username jack in consume"),
        ("secrets", 0, "vault", "invalid secret id: vault"),
    ]


def test_what_is_valid_is_valid_with_references_within(configs: Configs, client: Any) -> None:
    valid = {
        "routes": [{"id": 1, "uri": "/", "upstream_id": "u", "modifiedIndex": 3}, {**ROUTE}],
        "upstreams": [{"id": "u", **NODES}],
        "consumers": [
            {"username": "jack"},
            {"id": "jack/credentials/one", "plugins": {"key-auth": {"key": "k"}}},
        ],
        "plugin_metadata": [{"id": "t-count", "format": "x"}],
        "secrets": [{"id": "vault/1", "uri": "http://127.0.0.1", "prefix": "p", "token": "t"}],
        "plugins": [{"name": "t-count"}],
    }
    for asked in (configs, client):
        answer = asked.ask("POST", "configs/validate", valid)
        assert (answer.status, answer.body) == (200, {})
    assert client.ask("GET", "routes").body["total"] == 0


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "application/json", "empty request body"),
        (
            b"{abcd",
            "application/json",
            "Expected object key string but found invalid token at character 2",
        ),
        (b"[]", "application/json", "it should be an object of lists"),
        (b"a: [", "application/yaml", "invalid yaml request body: body:1: not valid YAML: "),
        (b'a: "\\ud800"', "application/yaml", "invalid yaml request body: "),
    ],
)
def test_bodies_that_are_no_configuration(
    configs: Configs, method: str, body: bytes, kind: str, words: str
) -> None:
    path = "configs" if method == "PUT" else "configs/validate"
    status, said = configs.refused(method, path, body, x_digest="1", content_type=kind)
    assert status == 400
    assert said.startswith(f"invalid request body: {words}")


def test_a_configuration_that_is_too_large(
    configs: Configs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "MAX_BODY", 10)
    assert configs.put("1", b" " * 11).status == 413


# Putting it


def test_lists_are_replaced_by_their_versions(configs: Configs) -> None:
    assert configs.refused("PUT", "configs", {}) == (400, "missing digest header")
    assert configs.put("1", {"routes": [ROUTE], "routes_conf_version": 5}).status == 202
    shown = configs.shown()
    assert (shown["routes_conf_version"], shown["services_conf_version"]) == (5, 1)
    assert configs.put("2", {"routes": [], "routes_conf_version": 5}).status == 202
    assert configs.shown()["routes"] == [ROUTE]
    answer = configs.put("3", {"routes_conf_version": 4})
    words = "routes_conf_version must be greater than or equal to (5)"
    assert (answer.status, answer.body["error_msg"]) == (400, words)
    assert configs.put("3", {}).status == 202
    shown = configs.shown()
    assert (shown["routes_conf_version"], shown["X-Digest"], "routes" in shown) == (6, "3", False)


def test_a_list_that_was_put_with_no_items_is_empty(configs: Configs) -> None:
    configs.put("1", {"routes": [ROUTE]})
    configs.put("2", {"routes": []})
    assert "routes" not in configs.shown()


def test_the_same_digest_is_not_looked_at_again(configs: Configs, standalone: Settings) -> None:
    configs.put("1", {})
    before = pushed_file(standalone).stat().st_ino
    answer = configs.put("1", {"routes": "not even a list"})
    assert (answer.status, answer.body) == (204, NOTHING)
    assert pushed_file(standalone).stat().st_ino == before


def test_variables_are_not_looked_up_in_what_clients_send(
    configs: Configs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T_SECRET", "seen")
    body = json.dumps({"routes": [{**ROUTE, "desc": "${{T_SECRET}}"}]}).encode()
    for digest, kind in (("1", "application/json"), ("2", "application/yaml")):
        assert configs.put(digest, body, content_type=kind).status == 202
        assert configs.shown()["routes"][0]["desc"] == "${{T_SECRET}}"


def test_it_is_its_owners_alone(configs: Configs, standalone: Settings) -> None:
    configs.put("1", {})
    assert pushed_file(standalone).stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_kept_is_not_taken(configs: Configs, standalone: Settings) -> None:
    pushed_file(standalone).parent.write_text("no directory")
    answer = configs.put("1", {})
    assert (answer.status, answer.body["error_msg"][:35]) == (
        500,
        "the configuration cannot be kept: F",
    )


def test_a_viewer_only_reads_it(configs: Configs) -> None:
    request = Request(
        "PUT", "/apisix/admin/configs", "127.0.0.1", lambda n: b"{}", {}, "the-viewer-key"
    )
    assert configs.api.answer(request).status == 401


def test_methods_that_configs_has_not(configs: Configs, client: Any) -> None:
    assert configs.refused("DELETE", "configs") == (404, "not found")
    assert client.refused("GET", "configs") == (404, "Unsupported resource type: configs")
