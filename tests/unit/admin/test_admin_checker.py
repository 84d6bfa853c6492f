"""What the checker says of documents; the words are APISIX's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest

from pygw.config.model import Settings
from pygw.vm.checker import Checker, CheckFailedError
from pygw.vm.worker import StartError

NODES = {"type": "roundrobin", "nodes": {"127.0.0.1:1980": 1}}
ROUTE = {"uri": "/hello", "upstream": NODES}


def fault(checker: Checker, resource: str, document: Any, item_id: str | None = "1") -> str | None:
    return checker.check(resource, item_id, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("resource", "item_id", "document"),
    [
        ("routes", "1", ROUTE),
        ("routes", "1", {**ROUTE, "vars": [["arg_a", "==", "b"]], "plugins": {"t-python": {}}}),
        ("routes", "1", {**ROUTE, "filter_func": "function(vars) return true end"}),
        ("routes", "1", {"uri": "/", "upstream": NODES, "script": "return { access = f }"}),
        ("routes", "1", {"uri": "/", "plugins": {"t-count": {"_meta": {"disable": True}}}}),
        ("services", "1", {"upstream": NODES, "plugins": {"t-count": {"count": 1}}}),
        ("upstreams", "1", {"type": "chash", "key": "remote_addr", "nodes": {"a.b:80": 1}}),
        ("consumers", None, {"username": "jack", "plugins": {"key-auth": {"key": "k"}}}),
        ("consumers", "jack", {"username": "jack"}),
        ("credentials", "c", {"plugins": {"key-auth": {"key": "k"}}}),
        ("consumer_groups", "1", {"id": "1", "plugins": {"t-count": {"count": 1}}}),
        ("global_rules", "1", {"id": "1", "plugins": {}}),
        ("plugin_configs", "1", {"id": "1", "plugins": {"t-python": {"greeting": "hi"}}}),
        ("plugin_metadata", "t-count", {"format": "x"}),
        ("plugin_metadata", "key-auth", {"whatever": 1}),
        ("protos", "1", {"content": 'syntax = "proto3";'}),
    ],
)
def test_what_is_right_passes(
    checker: Checker, resource: str, item_id: str | None, document: Any
) -> None:
    assert fault(checker, resource, document, item_id) is None


UNCLOSED = "function(vars)"
NO_PLUGIN = "unknown plugin [nope]"
BAD_COUNT = (
    "failed to check the configuration of plugin t-count err: "
    'property "count" validation failed: expected 0 to be at least 1'
)


@pytest.mark.parametrize(
    ("resource", "item_id", "document", "words"),
    [
        (
            "routes",
            "1",
            {**ROUTE, "host": "a", "hosts": ["b"]},
            "only one of host or hosts is allowed",
        ),
        (
            "routes",
            "1",
            {**ROUTE, "remote_addr": "1.1.1.1", "remote_addrs": ["1.1.1.1"]},
            "only one of remote_addr or remote_addrs is allowed",
        ),
        (
            "routes",
            "1",
            {**ROUTE, "methods": ["FETCH"]},
            'invalid configuration: property "methods" validation failed: '
            "failed to validate item 1: matches none of the enum values",
        ),
        ("routes", "1", {**ROUTE, "plugins": {"nope": {}}}, NO_PLUGIN),
        ("routes", "1", {**ROUTE, "plugins": {"t-count": {"count": 0}}}, BAD_COUNT),
        (
            "routes",
            "1",
            {**ROUTE, "plugins": {"t-count": 5}},
            "invalid plugin conf 5 for plugin [t-count]",
        ),
        (
            "routes",
            "1",
            {**ROUTE, "plugins": {"t-python": {"greeting": 1}}},
            "failed to check the configuration of plugin t-python err: property "
            '"greeting" validation failed: wrong type: expected string, got number',
        ),
        (
            "routes",
            "1",
            {**ROUTE, "plugins": {"t-count": {"count": 1, "_meta": {"filter": [["a", "=", 1]]}}}},
            "failed to validate the 'vars' expression: invalid operator '='",
        ),
        (
            "routes",
            "1",
            {**ROUTE, "vars": [["a", "=", "b"]]},
            "failed to validate the 'vars' expression: invalid operator '='",
        ),
        (
            "routes",
            "1",
            {**ROUTE, "filter_func": UNCLOSED},
            "failed to load 'filter_func' string: "
            "[string \"return function(vars)\"]:1: 'end' expected near '<eof>'",
        ),
        (
            "routes",
            "1",
            {**ROUTE, "script": "return 1 + 1"},
            "'script' should be a Lua object",
        ),
        (
            "routes",
            "1",
            {**ROUTE, "script": "error('no', 0)"},
            "failed to run 'script' string: no",
        ),
        (
            "routes",
            "1",
            {"uri": "/", "upstream": {**NODES, "pass_host": "rewrite"}},
            "`upstream_host` can't be empty when `pass_host` is `rewrite`",
        ),
        ("services", "1", {"plugins": {"nope": {}}}, NO_PLUGIN),
        ("upstreams", "1", {**NODES, "nodes": {"127.0.0.1:70000": 1}}, "invalid port 70000"),
        ("upstreams", "1", {**NODES, "type": "chash"}, "missing key"),
        (
            "upstreams",
            "1",
            {"type": "roundrobin", "nodes": [{"host": "::1", "port": 80, "weight": 1}]},
            "invalid configuration: IPv6 address must be enclosed with '[' and ']'",
        ),
        ("consumers", "bob", {"username": "jack"}, "wrong username"),
        ("consumers", None, {}, 'invalid configuration: property "username" is required'),
        (
            "consumers",
            None,
            {"username": "jack", "plugins": {"key-auth": {}}},
            "invalid plugins configuration: failed to check the configuration of plugin key-auth "
            'err: property "key" is required',
        ),
        (
            "credentials",
            "c",
            {"plugins": {"t-count": {"count": 1}}},
            "only supports auth type plugins in consumer credential",
        ),
        (
            "credentials",
            "c",
            {"plugins": {"nope": {}}},
            f"invalid plugins configuration: {NO_PLUGIN}",
        ),
        (
            "consumer_groups",
            "1",
            {"id": "1"},
            'invalid configuration: property "plugins" is required',
        ),
        ("global_rules", "1", {"id": "1", "plugins": {"t-count": {"count": 0}}}, BAD_COUNT),
        ("plugin_configs", "1", {"id": "1", "plugins": {"nope": {}}}, NO_PLUGIN),
        ("plugin_metadata", "nope", {}, "invalid plugin name"),
        ("plugin_metadata", "../../core/json", {}, "invalid plugin name"),
        ("plugin_metadata", None, {}, "missing plugin name"),
        (
            "plugin_metadata",
            "t-count",
            {},
            'invalid configuration: property "format" is required',
        ),
        ("protos", "1", {}, 'invalid configuration: property "content" is required'),
        ("secrets", "nowhere/1", {}, "invalid secret manager: nowhere"),
        ("secrets", "../x/1", {}, "invalid secret manager: .."),
        ("routes", "1", None, "invalid configuration: wrong type: expected object, got null"),
        ("routes", "1", [], "invalid configuration: wrong type: expected object, got array"),
        ("upstreams", "1", "x", "invalid configuration: wrong type: expected object, got string"),
    ],
)
def test_what_is_wrong_is_said(
    checker: Checker, resource: str, item_id: str | None, document: Any, words: str
) -> None:
    assert fault(checker, resource, document, item_id) == words


def test_paths_into_bodies_are_read_where_something_can_read_them(
    settings: Settings, checker: Checker, tmp_path: Path
) -> None:
    conditions = ["OR", ["post_arg.a[", "==", "1"], ["uri", "==", "/"]]
    route = {"uri": "/", "plugins": {}, "vars": conditions}
    assert fault(checker, "routes", route, "1") is None
    (tmp_path / "jsonpath.lua").write_text(
        "return { parse = function(path) return nil, path .. ' is no path' end }"
    )
    paths = (f"{tmp_path}/?.lua", *settings.lua_paths)
    reader = Checker(replace(settings, lua_paths=paths))
    assert fault(reader, "routes", route, "1") == (
        "failed to validate the 'vars' expression: $.a[ is no path"
    )
    reader.close()


def test_a_plugin_that_raises_is_not_a_verdict(checker: Checker, checker_log: Path) -> None:
    route = {**ROUTE, "plugins": {"t-count": {"count": 13}}}
    with pytest.raises(CheckFailedError, match="thirteen"):
        fault(checker, "routes", route)
    assert "in function 'check_schema'" in checker_log.read_text()
    assert fault(checker, "routes", ROUTE) is None


def test_a_plugin_that_would_wait_is_told_off(checker: Checker) -> None:
    route = {**ROUTE, "plugins": {"t-count": {"count": 14}}}
    with pytest.raises(CheckFailedError):
        fault(checker, "routes", route)
    assert fault(checker, "routes", ROUTE) is None


def test_timers_of_plugins_never_fire(checker: Checker, checker_log: Path) -> None:
    before = len(checker_log.read_text())
    for _ in range(5):
        fault(checker, "routes", ROUTE)
        gevent.idle()
    assert "the timer fired" not in checker_log.read_text()[before:]


def test_words_of_a_document_keep_their_letters(checker: Checker) -> None:
    document = {**ROUTE, "plugins": {"überall": {}}}
    assert fault(checker, "routes", document) == "unknown plugin [überall]"


def test_plugins_are_listed_by_priority(checker: Checker) -> None:
    assert checker.plugin_names() == ["key-auth", "t-count", "t-python"]
    assert checker.plugins()["key-auth"] | {"schema": None, "consumer_schema": None} == {
        "version": 0.1,
        "priority": 2500,
        "type": "auth",
        "schema": None,
        "consumer_schema": None,
    }


def test_a_schema_is_whole(checker: Checker) -> None:
    loaded, schema = checker.plugin_schema("t-count", None)
    assert loaded
    assert schema["properties"]["count"] == {"type": "integer", "minimum": 1, "default": 7}
    assert "table: 0x" not in json.dumps(checker.schema("route"))


def test_what_is_not_there_has_no_schema(checker: Checker) -> None:
    assert checker.plugin_schema("nope", None) == (False, None)
    assert checker.plugin_schema("t-count", "consumer") == (True, None)
    assert checker.schema("nope") is None
    assert checker.schema("check") is None


def test_lua_says_why_a_text_is_no_json(checker: Checker) -> None:
    assert checker.syntax_error(b'{"a"') == "Expected colon but found T_END at character 5"
    assert checker.syntax_error(b'{"a":1}') is None


def test_a_plugin_that_cannot_be_loaded_is_logged_and_the_rest_serves(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "t-broken.lua").write_text("return {")
    with (tmp_path / "log").open("ab") as log:
        merged = {**settings.merged, "plugins": ["t-broken", "key-auth"]}
        dirs = (tmp_path, *settings.plugin_dirs)
        checker = Checker(replace(settings, merged=merged, plugin_dirs=dirs), error_fd=log.fileno())
    assert checker.plugin_names() == ["key-auth"]
    assert "failed to load plugin [t-broken]" in (tmp_path / "log").read_text()
    checker.close()


def test_a_configuration_that_lua_cannot_use_is_a_start_error(settings: Settings) -> None:
    merged = json.loads(json.dumps(settings.merged))
    merged["deployment"]["config_provider"] = "carrier-pigeon"
    with pytest.raises(StartError, match="carrier-pigeon"):
        Checker(replace(settings, merged=merged))
