"""An unmodified APISIX on pygw: its tree by --apisix-tree, its dependencies by --lua-tree."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml
from support.etcd_server import EtcdServer, free_ports, running

PATIENCE = 30.0  # seconds before a test gives up on an event
ADAPTER = Path(__file__).with_name("adapter.lua")
KEY = "boot-admin-key"


class Answer:
    """A response: `status`, `headers`, `body`; `json` is the body, read."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    """One request on a connection of its own. A name's underscores stand for hyphens."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        None if body is None else json.dumps(body).encode(),
        {name.replace("_", "-"): value for name, value in headers.items()},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return Answer(reply.status, reply.headers, reply.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


class Apisix:
    """The running APISIX: its ports in the order of the adapter's listeners, and its error log."""

    def __init__(self, ports: list[int], log: Path) -> None:
        self.port, self.admin_port, self.control_port, self.metrics_port = ports
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def admin(self, method: str, path: str, body: Any = None) -> Answer:
        """A request to its own Admin API."""
        return ask(self.admin_port, f"/apisix/admin/{path}", method, body, X_API_KEY=KEY)

    def ask_until(self, status: int, path: str, **headers: str) -> Answer:
        """Ask until a change of the configuration has come: APISIX has no event for that."""
        deadline = time.monotonic() + PATIENCE
        while (answer := ask(self.port, path, **headers)).status != status:
            assert time.monotonic() < deadline, f"{answer.status}: {answer.body!r}\n{self.log}"
        return answer


def _option(request: pytest.FixtureRequest, name: str) -> Any:
    value = request.config.getoption(name)
    if not value:
        pytest.skip(f"needs {name} DIR (see docs/conformance.md)")
    return value


def _shared_dicts(defaults: dict[str, Any]) -> dict[str, str]:
    """Those that APISIX's nginx.conf would declare."""
    dicts: dict[str, str] = dict(defaults["nginx_config"]["http"]["lua_shared_dict"])
    return {**dicts, "plugin-limit-count-reset-header": dicts["plugin-limit-count"]}


def _configure(directory: Path, tree: Path, lua_trees: list[Path], etcd: EtcdServer) -> None:
    """APISIX's own configuration in conf/, as its operator writes it, and pygw's beside it."""
    (directory / "conf").mkdir()
    (directory / "logs").mkdir()
    default = tree / "conf" / "config-default.yaml"
    (directory / "conf" / default.name).symlink_to(default)
    theirs = {
        "apisix": {"ssl": {"enable": False}, "events": {"module": "lua-resty-worker-events"}},
        "deployment": {
            "role": "traditional",
            "role_traditional": {"config_provider": "etcd"},
            "admin": {"admin_key": [{"name": "admin", "key": KEY, "role": "admin"}]},
            "etcd": {"host": [etcd.url], "prefix": "/apisix"},
        },
    }
    text = yaml.safe_dump(theirs)
    (directory / "conf" / "config.yaml").write_text(text)
    share = [f"{each}/share/lua/5.1" for each in lua_trees]
    paths = [f"{base}/{end}" for base in [*share, str(tree)] for end in ("?.lua", "?/init.lua")]
    ours = {
        "apisix": {
            "node_listen": [{"ip": "127.0.0.1", "port": port} for port in free_ports(4)],
            "extra_lua_path": ";".join(paths),
            "extra_lua_cpath": ";".join(f"{each}/lib/lua/5.1/?.so" for each in lua_trees),
        },
        "nginx_config": {
            "worker_processes": 1,
            "http": {"custom_lua_shared_dict": _shared_dicts(yaml.safe_load(default.read_text()))},
        },
    }
    (directory / "config.yaml").write_text(yaml.safe_dump(ours))


@pytest.fixture(scope="session")
def tree(request: pytest.FixtureRequest) -> Path:
    """The APISIX tree."""
    directory: Path = _option(request, "--apisix-tree")
    return directory.resolve()


@pytest.fixture(scope="module")
def apisix(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Apisix]:
    """It runs, against an etcd of its own."""
    lua_trees = [each.resolve() for each in _option(request, "--lua-tree")]
    directory = tmp_path_factory.mktemp("apisix")
    log = directory / "error.log"
    with running(tmp_path_factory.mktemp("etcd") / "data") as etcd, log.open("w") as stderr:
        _configure(directory, tree, lua_trees, etcd)
        process = subprocess.Popen(
            [sys.executable, "-m", "pygw", "run", "--app", str(ADAPTER)],
            cwd=directory,
            env={**os.environ, "PYGW_TEST_APISIX_TREE": str(tree)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        with process:
            try:
                assert process.stdout
                line = process.stdout.readline()
                assert "listening on" in line, log.read_text()
                ports = re.findall(r"127\.0\.0\.1:(\d+)", line)
                yield Apisix([int(port) for port in ports], log)
            finally:
                process.terminate()
                process.wait(PATIENCE)
