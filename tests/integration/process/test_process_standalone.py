"""A gateway whose apisix.yaml is wrong, and one whose file is apisix.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CONFIG = """
apisix: {node_listen: [{ip: 127.0.0.1, port: 0}], enable_admin: false}
deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}
nginx_config: {worker_processes: 1}
"""


def run(directory: Path, routes: str) -> subprocess.CompletedProcess[str]:
    (directory / "config.yaml").write_text(CONFIG)
    (directory / "apisix.yaml").write_text(routes + "#END\n")
    return subprocess.run(
        [sys.executable, "-m", "pygw", "run", "-c", str(directory / "config.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_invalid_item_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "routes:\n"
        "  - {id: 7, uri: /a, upstream: {type: roundrobin, nodes: {'127.0.0.1:80': heavy}}}\n",
    )
    assert ended.returncode == 1
    said = ended.stderr.strip().splitlines()[-1]
    assert f"{tmp_path}/apisix.yaml: routes/7: property" in said
    assert "cannot start" in said


def test_a_faulty_plugin_configuration_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    ended = run(tmp_path, "routes: [{id: 1, uri: /a, plugins: {no-such-plugin: {}}}]\n")
    assert ended.returncode == 1
    assert "routes/1: unknown plugin [no-such-plugin]" in ended.stderr


def test_the_file_may_be_apisix_json(tmp_path: Path) -> None:
    plugins = {"mocking": {"response_example": "from ${{WHERE}}", "with_mock_header": False}}
    routes = [{"id": 1, "uri": "/a", "plugins": plugins}]
    (tmp_path / "config.yaml").write_text(CONFIG.replace("yaml}", "json}"))
    (tmp_path / "apisix.json").write_text(json.dumps({"routes": routes}))
    command = [sys.executable, "-m", "pygw", "get", "-c", str(tmp_path / "config.yaml"), "/a"]
    environment = {**os.environ, "WHERE": "JSON"}
    got = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert got.stdout.endswith("from JSON"), got
