"""The plugin example-plugin: what its phases say, and that a copy of it is a plugin too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.paths import PLUGINS_DIR
from pygw.testing.upstream import Upstream

NAME = "example-plugin"
NOWHERE = {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(
        plugins=[NAME, "serverless-pre-function"],
        plugin_attr={NAME: {"val": "of the file"}},
        nginx_config={"error_log_level": "info"},
    )


@pytest.fixture(scope="module")
def other() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


def said(gateway: Gateway, conf: dict[str, Any]) -> str:
    """What the log says of one request on a new route."""
    path = gateway.route({NAME: conf})
    before = len(gateway.log)
    assert gateway.ask(path).status == 200
    gateway.until(lambda: "plugin log phase, conf: " in gateway.log[before:])
    return gateway.log[before:]


def test_every_phase_speaks_in_its_turn(gateway: Gateway, plugin_source: Path | None) -> None:
    phases = re.findall(r"plugin (\w+) phase", said(gateway, {"i": 1}))
    assert list(dict.fromkeys(phases)) == [
        "rewrite",
        "access",
        *(["before_proxy"] if not plugin_source else []),  # theirs has none
        "header_filter",
        "body_filter",
        "delayed_body_filter",
        "log",
    ]


def test_each_says_its_configuration(gateway: Gateway) -> None:
    log = said(gateway, {"i": 12.5})
    for phase in ("rewrite", "access", "header_filter", "log"):
        assert re.search(rf'plugin {phase} phase, conf: {{.*"i":12\.5', log), phase
    assert "plugin body_filter phase, eof: true, conf: {" in log
    assert "plugin delayed_body_filter phase, eof: true, conf: {" in log


def test_where_a_configuration_comes_from(gateway: Gateway) -> None:
    log = said(gateway, {"i": 1})
    assert "conf_type: route" in log
    assert re.search(r"conf_id: r\d+", log)
    assert re.search(r"conf_version: \d+", log)


def test_it_may_choose_the_upstream(gateway: Gateway, other: Upstream) -> None:
    host, port = other.node.split(":")
    path = gateway.route({NAME: {"i": 1, "ip": host, "port": int(port)}}, upstream=NOWHERE)
    assert gateway.ask(path).text == "hello"
    assert other.last.target == path


def test_an_upstream_that_cannot_be(gateway: Gateway) -> None:
    path = gateway.route({NAME: {"i": 1, "ip": "127.0.0.1", "port": 70000}})
    answer = gateway.ask(path)
    assert answer.status == 500
    assert answer.text.startswith('property "nodes" validation failed: ')


def test_attributes(gateway: Gateway) -> None:
    assert "example-plugin get plugin attr val: of the file" in gateway.log


def test_metadata(gateway: Gateway, plugin_source: Path | None) -> None:
    key = f"plugin_metadata/{NAME}"
    gateway.put(key, {"id": NAME, "ikey": 1, "skey": "the metadata"})
    try:
        log = said(gateway, {"i": 1})
    finally:
        gateway.delete(key)
    assert plugin_source or re.search(r'metadata: {[^}]*"skey":"the metadata"', log)
    assert "the metadata" not in said(gateway, {"i": 1})


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "is required"),
        ({"ikey": 1}, 'property "skey" is required'),
        ({"ikey": -1, "skey": "a"}, "expected -1 to be at least 0"),
        ({"ikey": 1, "skey": 2}, 'property "skey" validation failed: wrong type'),
    ],
)
def test_metadata_that_are_refused(gateway: Gateway, metadata: dict[str, Any], reason: str) -> None:
    assert reason in gateway.refused(f"plugin_metadata/{NAME}", {"id": NAME, **metadata})


@pytest.mark.parametrize(
    ("query", "told"), [("", "world\n"), ("?a=1", "world\n"), ("?json", '{"msg":"world"}\n')]
)
def test_what_its_api_answers(gateway: Gateway, query: str, told: str) -> None:
    function = f"""return function()
        local api = require("apisix.plugin").get("{NAME}").control_api()[1]
        ngx.header["X-Api"] = api.methods[1] .. " " .. api.uris[1]
        return api.handler()
    end"""
    path = gateway.route({"serverless-pre-function": {"functions": [function]}})
    answer = gateway.ask(path + query)
    assert (answer.status, answer.text) == (200, told)
    assert answer.headers.get("X-Api") == "GET /v1/plugin/example-plugin/hello"


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"s": "s", "t": [1]}, 'property "i" is required'),
        (
            {"i": -1, "s": "s", "t": [1, 2]},
            'property "i" validation failed: expected -1 to be at least 0',
        ),
        (
            {"i": 1, "s": 123, "t": [1]},
            'property "s" validation failed: wrong type: expected string, got number',
        ),
        (
            {"i": 1, "t": []},
            'property "t" validation failed: expect array to have at least 1 items',
        ),
        ({"i": 1, "ip": 1}, 'property "ip" validation failed: wrong type'),
        ({"i": 1, "port": 1.5}, 'property "port" validation failed: wrong type'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({NAME: conf})
    assert f"check the configuration of plugin {NAME} err: {reason}" in log


def test_a_copy_is_a_plugin_of_ones_own(
    start_gateway: Callable[..., Gateway], plugin_source: Path | None, tmp_path: Path
) -> None:
    directory = plugin_source / "apisix/plugins" if plugin_source else PLUGINS_DIR
    text = (directory / f"{NAME}.lua").read_text()
    (tmp_path / "my-copy.lua").write_text(text.replace(f'"{NAME}"', '"my-copy"'))
    gateway = start_gateway(plugins=["my-copy"], pygw={"plugin_dirs": [str(tmp_path)]})
    assert gateway.ask(gateway.route({"my-copy": {"i": 1}})).status == 200
    gateway.until(lambda: "plugin log phase" in gateway.log)
    assert 'property "i" is required' in gateway.complaint({"my-copy": {}})
