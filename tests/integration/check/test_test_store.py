"""`pygw test`: what it says of the configuration that config.yaml names, in a file or a store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.etcd_server import running

from pygw.config.embedded import EmbeddedStore

GOOD: dict[str, Any] = {
    "upstreams/1": {"id": "1", "nodes": {"127.0.0.1:80": 1}},
    "routes/1": {"id": "1", "uri": "/a", "upstream_id": 1, "plugins": {"key-auth": {}}},
    "consumers/jack": {"username": "jack"},
    "consumers/jack/credentials/c": {"plugins": {"key-auth": {"key": "k"}}},
    "stream_routes/1": {"id": "1", "server_port": 9100, "upstream_id": "1"},
    "secrets/vault/1": {"id": "vault/1", "uri": "http://127.0.0.1", "prefix": "p", "token": "t"},
    "plugins": [{"name": "key-auth"}],
    "data_plane/server_info/x": "of the gateways themselves",
}
BAD: dict[str, Any] = {
    "routes/1": {"id": "1", "uri": "/a", "upstream_id": 9},
    "routes/2": {"id": "2", "uri": "/b", "upstream_id": 1, "urii": 1},
    "routes/3": {"id": "3", "uri": "/b", "upstream_id": 1, "plugins": {"key-auth": {"header": 3}}},
    "consumers/jack/credentials/c": {"plugins": 3},
    "stream_routes/1": {"id": "1", "server_port": "x"},
    "upstreams/2": ["no", "table"],
}
TOLD = [
    "/apisix/routes/1: there is no upstream with the id 9",
    "/apisix/routes/2: additional properties forbidden, found urii",
    "/apisix/routes/3: failed to check the configuration of plugin key-auth err: property",
    '/apisix/consumers/jack/credentials/c: property "plugins" validation failed: wrong type',
    '/apisix/stream_routes/1: invalid configuration: property "server_port" validation failed',
    "/apisix/upstreams/2: it should be an object",
    "/apisix/routes/4: not valid JSON: ",
]


def run(directory: Path, config: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (directory / "config.yaml").write_text(config)
    return subprocess.run(
        [sys.executable, "-m", "pygw", "test", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_embedded_store(tmp_path: Path) -> None:
    path = tmp_path / "run/store.db"
    path.parent.mkdir()
    config = f"plugins: [key-auth]\ndeployment: {{embedded: {{path: {path}}}}}\n"
    store = EmbeddedStore(path)
    try:
        for key, value in GOOD.items():
            store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())
        result = run(tmp_path, config, "--store")
        assert (result.returncode, result.stderr) == (0, "")
        assert "pygw: 7 items in the store, below /apisix/\n" in result.stdout
        for key, value in BAD.items():
            store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())
        revision = store.put(b"/apisix/routes/4", b"{")
        result = run(tmp_path, config, "--store")
        assert store.readdir(b"/")[0] == revision
    finally:
        store.close()
    assert result.returncode == 1
    told = result.stderr.splitlines()
    for line in TOLD:
        assert [each for each in told if each.startswith(f"pygw: {line}")], (line, told)
    assert len(told) == len(TOLD), told
    assert run(tmp_path, config).returncode == 0


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = run(tmp_path, "", "--store")
    assert (result.returncode, result.stderr) == (0, "")
    assert "pygw: 0 items in the store, below /apisix/\n" in result.stdout
    assert not (tmp_path / "run").exists()


def test_etcd(tmp_path: Path) -> None:
    with running(tmp_path / "etcd") as etcd:
        config = (
            "plugins: [key-auth]\ndeployment:\n  role_traditional: {config_provider: etcd}\n"
            f"  etcd: {{host: ['http://127.0.0.1:{etcd.port}'], prefix: /mine, timeout: 5}}\n"
        )
        etcd.ctl("put", "/mine/routes/", "init_dir")
        etcd.ctl("put", "/mine/routes/1", '{"id": "1", "uri": "/a", "upstream": {"nodes": 3}}')
        etcd.ctl("put", "/other/routes/1", "nothing of ours")
        result = run(tmp_path, config, "--store")
    assert result.returncode == 1
    assert result.stderr.startswith('pygw: /mine/routes/1: property "upstream" validation failed: ')
    assert result.stderr.count("\n") == 1
    assert "pygw: 1 items in the store, below /mine/\n" in result.stdout
    result = run(tmp_path, config, "--store")
    assert result.returncode == 1
    assert "pygw: the store cannot be read: " in result.stderr


PYTHON_PLUGIN = """
from pygw.plugin import Plugin

class Hello(Plugin):
    name = "hello"
    priority = 1
    schema = {"type": "object", "properties": {"n": {"type": "intiger"}}}

    def access(self, conf, ctx):
        pass
"""


def test_the_schema_of_a_python_plugin(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PYTHON_PLUGIN)
    config = "plugins: [hello]\npygw: {python_plugins: [mine.py]}\n"
    result = run(tmp_path, config)
    assert result.returncode == 1
    assert result.stderr.startswith("pygw: Python plugin hello (")
    assert result.stderr.endswith("Hello): schema.properties.n.type: there is no type intiger\n")
    (tmp_path / "mine.py").write_text(PYTHON_PLUGIN.replace("intiger", "integer"))
    assert run(tmp_path, config).returncode == 0


def test_a_route_of_a_python_plugin_whose_schema_is_none(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PYTHON_PLUGIN)
    (tmp_path / "apisix.yaml").write_text("routes:\n  - {uri: /a, plugins: {hello: {}}}\n#END\n")
    result = run(
        tmp_path,
        "pygw: {python_plugins: [mine.py]}\n"
        "deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}\n",
    )
    assert result.stderr.splitlines()[1:] == [
        "pygw: apisix.yaml:2:25: routes[0]: unknown plugin [hello]:"
        " schema.properties.n.type: there is no type intiger"
    ]


def test_the_file_that_config_yaml_names(tmp_path: Path) -> None:
    config = "deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}\n"
    (tmp_path / "apisix.yaml").write_text("routes:\n  - {uri: /a, upstream_id: 3}\n#END\n")
    result = run(tmp_path, config)
    assert result.returncode == 1
    assert (
        result.stderr == "pygw: apisix.yaml:2:28: routes[0]: there is no upstream with the id 3\n"
    )
    (tmp_path / "apisix.yaml").write_text("routes: []\n#END\n")
    assert run(tmp_path, config).returncode == 0
