"""APISIX's prometheus, unchanged from a checkout, in a whole gateway: its metrics are put together
by the privileged agent and shown by the worker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import gevent
import pytest
import yaml
from conformance.apisix_plugins.conftest import skip_without_library

from pygw.testing.upstream import Upstream

PATIENCE = 20.0  # seconds


def ask(url: str) -> str:
    """The body of an answer, whatever its status; the upstream, of this process, runs meanwhile."""
    return str(gevent.get_hub().threadpool.apply(_ask, (url,)))


def _ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as reply:
            return str(reply.read(), "latin-1")
    except HTTPError as error:
        with error:
            return str(error.read(), "latin-1")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def url(tmp_path: Path, checkout: Path, lua_trees: list[str], upstream: Upstream) -> Iterator[str]:
    """Of a running gateway: /counted is a route with the plugin, /metrics shows what it has."""
    ends = ("?.lua", "?/init.lua")
    paths = [f"{tree}/share/lua/5.1/{end}" for tree in lua_trees for end in ends]
    config = {
        "apisix": {
            "node_listen": [{"ip": "127.0.0.1", "port": 0}],
            "extra_lua_path": ";".join(paths),
            "extra_lua_cpath": ";".join(f"{tree}/lib/lua/5.1/?.so" for tree in lua_trees),
        },
        "nginx_config": {"worker_processes": 1},
        "deployment": {"role": "data_plane", "role_data_plane": {"config_provider": "yaml"}},
        "plugins": ["prometheus", "public-api", "proxy-rewrite"],
        "plugin_attr": {"prometheus": {"refresh_interval": 0.1, "enable_export_server": False}},
        "pygw": {"plugin_dirs": [str(checkout)]},
    }
    nodes = {"type": "roundrobin", "nodes": {upstream.node: 1}}
    metrics = {"public-api": {"uri": "/apisix/prometheus/metrics"}}
    routes = [
        {"id": "counted", "uri": "/counted", "plugins": {"prometheus": {}}, "upstream": nodes},
        {"id": "metrics", "uri": "/metrics", "plugins": metrics},
    ]
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(yaml.safe_dump(config))
    text = json.dumps({"routes": routes})
    (tmp_path / "conf" / "apisix.yaml").write_text(f"{text}\n#END\n")
    log = tmp_path / "stderr"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "pygw", "run", "-c", "conf/config.yaml"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout
            port = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            skip_without_library(log.read_text(), "prometheus")
            assert port, log.read_text()
            yield f"http://127.0.0.1:{port[1]}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_requests_are_counted(url: str) -> None:
    assert ask(f"{url}/counted") == "hello"
    wanted = re.compile(r'^apisix_http_status\{code="200",route="counted",.*\} 1$', re.MULTILINE)
    deadline = time.monotonic() + PATIENCE
    while not wanted.search(text := ask(f"{url}/metrics")):
        assert time.monotonic() < deadline, text
    assert 'apisix_http_latency_count{type="request",route="counted"' in text
    assert "apisix_node_info{hostname=" in text
