"""The gateway that is measured, with a route for each case, and the runner beside it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ORIGINAL = "ext-plugin-pre-req"

CONFIG = """
apisix:
  enable_control: false
  node_listen: [{{ip: 127.0.0.1, port: 0}}]
  extra_lua_path: "{lua_path}"
deployment:
  role: data_plane
  role_data_plane: {{config_provider: yaml}}
nginx_config:
  worker_processes: 1
  http: {{keepalive_requests: 100000000, custom_lua_shared_dict: {{ext-plugin: 1m}}}}
plugins: [{plugins}]
ext-plugin: {{path_for_test: "{socket}"}}
pygw: {{plugin_dirs: [{plugin_dirs}], python_plugins: ["{here}/plugins.py"], entry_points: false}}
"""
LUA = ("bench-answer", "lua-header", "lua-block", "bench-runner")


@dataclass(frozen=True)
class Original:
    """APISIX's own side of the protocol: its checkout, and a tree of its libraries."""

    apisix: Path
    lua_tree: Path


@dataclass(frozen=True)
class Served:
    """A gateway that runs: its port, its worker, the runners by the name of their option."""

    port: int
    worker: int
    runners: dict[str, int]


@contextlib.contextmanager
def serving(
    directory: Path, routes: dict[str, str], original: Original | None = None
) -> Iterator[Served]:
    """Run a gateway and runners.

    routes: name -> the plugins of /name, a template of YAML that may name the sockets of the
    runners, {struct} and {package}.
    """
    sockets = {name: directory / f"{name}.sock" for name in ("struct", "package")}
    runners = {
        name: subprocess.Popen([sys.executable, str(HERE / "runner.py"), str(path), f"--{name}"])
        for name, path in sockets.items()
    }
    try:
        for name, path in sockets.items():
            _until(path.exists, runners[name])
        with _gateway(directory, routes, sockets, original) as (port, worker):
            yield Served(port, worker, {name: each.pid for name, each in runners.items()})
    finally:
        for runner in runners.values():
            runner.terminate()
            runner.wait()


@contextlib.contextmanager
def _gateway(
    directory: Path, routes: dict[str, str], sockets: dict[str, Path], original: Original | None
) -> Iterator[tuple[int, int]]:
    plugin_dirs, lua_path, plugins = [HERE / "lua"], "", list(LUA)
    if original:
        plugin_dirs.append(_copy_of(original, directory))
        lua_path = (
            f"{original.lua_tree}/share/lua/5.1/?.lua;{original.lua_tree}/share/lua/5.1/?/init.lua"
        )
        plugins.append(ORIGINAL)
    (directory / "config.yaml").write_text(
        CONFIG.format(
            here=HERE, lua_path=lua_path, plugins=", ".join(plugins), socket=sockets["package"],
            plugin_dirs=", ".join(f'"{each}"' for each in plugin_dirs),
        )
    )  # fmt: skip
    lines = ["routes:"]
    for name, given in routes.items():
        given = given.format(**{each: f"unix:{path}" for each, path in sockets.items()})
        plugin = f"{given}, " if given else ""
        lines.append(f"  - {{id: {name}, uri: /{name}, plugins: {{{plugin}bench-answer: {{}}}}}}")
    (directory / "apisix.yaml").write_text("\n".join([*lines, "#END", ""]))
    command = [sys.executable, "-m", "pygw", "run", "-c", "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE
    )  # fmt: skip
    try:
        assert process.stdout
        started = re.search(rb":(\d+),", process.stdout.readline())
        if not started:
            raise RuntimeError("the gateway did not start")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        yield int(started[1]), int(children.split()[0])
    finally:
        process.terminate()
        process.wait()


def _copy_of(original: Original, directory: Path) -> Path:
    """The plugin alone: its checkout has all the others too, which would win over ours."""
    place = directory / "original"
    source = original.apisix / "apisix/plugins"
    shutil.copytree(source / "ext-plugin", place / "ext-plugin")
    shutil.copy(source / f"{ORIGINAL}.lua", place)
    return place


def _until(there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    for _ in range(1000):
        if there():
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError("the runner did not start")
