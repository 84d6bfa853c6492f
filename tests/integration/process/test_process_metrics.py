"""Metrics of a gateway in several processes: counted by all, shown by each, on an address apart."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import PATIENCE, StartGateway

CONFIG = """
apisix:
  node_listen: [{ip: 127.0.0.1, port: 0}]
  enable_admin: false
  extra_lua_path: "%s"
  extra_lua_cpath: "%s"
pygw: {plugin_dirs: [%s]}
deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}
nginx_config: {worker_processes: 2}
plugins: [prometheus, serverless-pre-function]
plugin_attr:
  prometheus:
    export_addr: {ip: 127.0.0.1, port: %d}
    refresh_interval: 0.2
"""
ROUTES = """
routes:
  - id: one
    uri: /one
    plugins:
      prometheus: {}
      serverless-pre-function:
        functions: ["return function() ngx.print(ngx.worker.pid()) ngx.exit(200) end"]
#END
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ask(port: int, uri: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", uri)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def samples(port: int) -> dict[str, float]:
    """What is shown, without the labels' names."""
    status, text = ask(port, "/apisix/prometheus/metrics")
    assert status == 200
    return {
        " ".join([name, *labels.values()]): value
        for family in text_string_to_metric_families(text)
        for name, labels, value, *_ in family.samples
    }


def until(port: int, true: Callable[[dict[str, float]], Any]) -> dict[str, float]:
    """The first samples of which something holds."""
    deadline = time.monotonic() + PATIENCE
    while not true(found := samples(port)):
        assert time.monotonic() < deadline, found
    return found


def counted(found: dict[str, float]) -> float:
    return sum(value for name, value in found.items() if re.match("apisix_http_status.* one", name))


def places(request: pytest.FixtureRequest, checkout: Path | None) -> tuple[str, str, str]:
    """Where Lua modules and libraries are looked for, and plugins: with a checkout, its own."""
    if not checkout:
        return "", "", ""
    trees = [tree.resolve() for tree in request.config.getoption("--lua-tree") or []]
    lua = ";".join(f"{tree}/share/lua/5.1/?.lua" for tree in trees)
    return lua, ";".join(f"{tree}/lib/lua/5.1/?.so" for tree in trees), str(checkout.resolve())


@pytest.mark.parametrize("source", ["pygw", "apisix"])
def test_all_workers_count_and_the_metrics_have_an_address(
    request: pytest.FixtureRequest, start: StartGateway, tmp_path: Path, source: str
) -> None:
    checkout = request.config.getoption("--apisix") if source == "apisix" else None
    if source == "apisix" and not (checkout and request.config.getoption("--lua-tree")):
        pytest.skip("needs --apisix, and --lua-tree with lua-protobuf")
    (tmp_path / "apisix.yaml").write_text(ROUTES)
    port = free_port()
    gateway = start(CONFIG % (*places(request, checkout), port), app=None).started()
    assert re.search(rf"metrics on 127\.0\.0\.1:{port}\b", gateway.out.seen)
    pids, asked = set(), 0
    while len(pids) < 2:
        pids.add(gateway.get("/one"))
        asked += 1
    found = until(port, lambda found: counted(found) == asked)
    assert found["apisix_http_latency_count request one    traditional_http  "] == asked
    assert len(gateway.children()) == 3, "two workers, and the process that puts them together"
    until(port, lambda found: found["apisix_http_requests_total"] >= asked)
    assert ask(port, "/one")[0] == 404
    assert ask(gateway.port, "/apisix/prometheus/metrics")[0] == 404
