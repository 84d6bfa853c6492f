"""The whole configuration given over the Admin API, where no store is: checked, served, kept."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = {"role": "traditional", "role_traditional": {"config_provider": "yaml"}}


@pytest.fixture
def deployment() -> dict[str, Any]:
    """As the gateways of `start` have it, but configured by a file or by /configs."""
    admin = {
        "admin_listen": {"ip": "127.0.0.1", "port": 0},
        "admin_key": [{"name": "admin", "key": "integration-admin-key", "role": "admin"}],
    }
    return {**FILE, "admin": admin}


def put(gateway: Any, digest: str, config: Any, content: str = "application/json") -> Any:
    body = yaml.safe_dump(config).encode() if content == "application/yaml" else config
    headers = {
        "X-API-KEY": "integration-admin-key",
        "X-Digest": digest,
        "Content-Type": content,
    }
    return gateway.ask_admin("configs", headers, "PUT", body)


def routed(upstream: Any, *paths: str) -> dict[str, Any]:
    return {
        "routes": [
            {"id": f"r{i}", "uri": path, "upstream": upstream} for i, path in enumerate(paths)
        ]
    }


def test_what_is_put_is_served_by_every_worker_and_after_a_restart(
    start: Any, deployment: dict[str, Any], upstream: Any
) -> None:
    gateway = start(deployment)
    assert gateway.get("/a").status == 404
    assert gateway.admin("GET", "configs").json["routes_conf_version"] == 0

    answer = put(gateway, "1", routed(upstream, "/a"))
    assert (answer.status, answer.headers["X-Digest"], answer.body) == (202, "1", b"")
    assert abs(int(answer.headers["X-Last-Modified"]) - time.time()) < 60
    gateway.until("/a", 200)
    assert put(gateway, "1", {}).status == 204

    shown = gateway.admin("GET", "configs")
    assert shown.headers["X-Digest"] == "1"
    assert (shown.json["routes_conf_version"], len(shown.json["routes"])) == (1, 1)
    head = gateway.ask_admin("configs", {"X-API-KEY": "integration-admin-key"}, "HEAD")
    assert (head.status, head.headers["X-Digest"], head.body) == (200, "1", b"")

    assert put(gateway, "2", routed(upstream, "/b"), "application/yaml").status == 202
    gateway.until("/b", 200)
    gateway.until("/a", 404)
    headers = {"X-API-KEY": "integration-admin-key", "Accept": "application/yaml"}
    answer = gateway.ask_admin("configs", headers)
    assert answer.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(answer.body)["routes"][0]["uri"] == "/b"

    assert gateway.stop() == 0
    again = start(deployment, directory=gateway.directory)
    assert again.get("/b").status == 200
    assert again.admin("GET", "configs").json["routes_conf_version"] == 2


def test_the_file_and_the_api_whichever_came_last(
    start: Any, deployment: dict[str, Any], upstream: Any
) -> None:
    gateway = start(deployment)
    put(gateway, "1", routed(upstream, "/api"))
    gateway.until("/api", 200)
    file: Path = gateway.directory / "apisix.yaml"
    file.write_text(f"{yaml.safe_dump(routed(upstream, '/file'))}#END\n")
    gateway.until("/file", 200)
    gateway.until("/api", 404)
    assert gateway.admin("GET", "configs").json["routes"][0]["uri"] == "/file"
    put(gateway, "2", routed(upstream, "/api"))
    gateway.until("/api", 200)
    older = gateway.directory / "older.yaml"
    older.write_text(file.read_text())
    os.utime(older, (1, 1))
    older.rename(file)
    gateway.until("/file", 200)


def test_what_is_wrong_anywhere_changes_nothing(
    start: Any, deployment: dict[str, Any], upstream: Any
) -> None:
    gateway = start(deployment)
    put(gateway, "1", routed(upstream, "/a"))
    wrong = {**routed(upstream, "/b"), "services": [{"id": "s", "plugins": {"nope": {}}}]}
    answer = put(gateway, "2", wrong)
    assert (answer.status, answer.json) == (400, {"error_msg": "unknown plugin [nope]"})
    assert gateway.admin("GET", "configs").headers["X-Digest"] == "1"
    gateway.until("/a", 200)


def test_items_may_say_which_version_they_are(
    start: Any, deployment: dict[str, Any], upstream: Any
) -> None:
    gateway = start(deployment)
    config = routed(upstream, "/a")
    config["routes"][0]["modifiedIndex"] = 7
    config["routes"][0]["plugins"] = {"t-key": {}}
    config["consumers"] = [
        {"username": "jack"},
        {"id": "jack/credentials/one", "plugins": {"t-key": {"key": "k"}}},
    ]
    assert put(gateway, "1", config).status == 202
    gateway.until("/a", 401)
    gateway.until("/a", 200, X_Key="k")
