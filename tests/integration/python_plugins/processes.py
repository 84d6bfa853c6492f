"""`pygw` in processes of its own, with Python plugins given as text."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0
ROOT = Path(__file__).resolve().parents[3]
HEAD = "from pygw.plugin import Plugin, Response\nfrom pygw.hookspecs import hookimpl\n"
GOOD = """
class Good(Plugin):
    name, priority, schema = "t-good", 10, {"type": "object"}
    def access(self, conf, ctx):
        return Response(200, "good")
"""


def pygw(base: Path, *command: str, path: Path = ROOT) -> subprocess.Popen[str]:
    """Start `pygw COMMAND` in a directory; path: where else to import from."""
    return subprocess.Popen(
        [sys.executable, "-m", "pygw", *command],
        cwd=base,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{path}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def configure(
    base: Path,
    files: dict[str, str],
    routes: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Write config.yaml with all of `files` as Python plugins and `more`, and apisix.yaml."""
    for name, text in files.items():
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_text(HEAD + textwrap.dedent(text))
    config = {
        "apisix": {"enable_control": False},
        "nginx_config": {"worker_processes": 1},
        "deployment": {"role": "data_plane", "role_data_plane": {"config_provider": "yaml"}},
        "plugins": [],
        "pygw": {"python_plugins": list(files)},
        **(more or {}),
    }
    config["apisix"].setdefault("node_listen", [{"ip": "127.0.0.1", "port": 0}])
    (base / "config.yaml").write_text(json.dumps(config))
    listed = [{"uri": f"/{name}", "plugins": given} for name, given in (routes or {}).items()]
    (base / "apisix.yaml").write_text(json.dumps({"routes": listed}) + "\n#END\n")


@pytest.fixture
def run_with(tmp_path: Path) -> Iterator[Callable[..., tuple[Any, ...]]]:
    """Run a gateway: run_with(files, routes, config, path=); gives its process and ports."""
    running: list[subprocess.Popen[str]] = []

    def start(*given: Any, path: Path = ROOT) -> tuple[Any, ...]:
        configure(tmp_path, *given)
        running.append(pygw(tmp_path, "run", path=path))
        assert running[-1].stdout
        ports = re.findall(r"127\.0\.0\.1:(\d+)", running[-1].stdout.readline())
        assert ports, running[-1].communicate()
        return running[-1], *map(int, ports)

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def run(run_with: Any) -> Callable[..., tuple[Any, ...]]:
    """Run a gateway with one plugin file and routes; gives its process and port."""
    return lambda source, routes: run_with({"plugins.py": source}, routes)


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return str(answer.read().decode())
