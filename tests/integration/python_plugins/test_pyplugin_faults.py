"""Python plugins that cannot be used: what `pygw run`, `pygw test` and a reload say of them."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from integration.python_plugins.processes import GOOD, PATIENCE, configure, get, pygw

CLASS = 'class Bad(Plugin):\n    name, priority, schema = "t-bad", 1, {}\n'
PHASE = "    def access(self, conf, ctx): pass\n"
FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "async phase": (
        {"p.py": CLASS + "    async def access(self, conf, ctx): pass\n"},
        r"plugin Bad \(.*/p.py\): `access` is `async def`, and no asyncio loop runs here",
    ),
    "no name": (
        {"p.py": "class Bad(Plugin):\n    priority, schema = 1, {}\n" + PHASE},
        r"plugin Bad \(.*/p.py\): `name` must be letters, .* not None",
    ),
    "two of one name": (
        {"p.py": CLASS + PHASE, "q.py": CLASS + PHASE},
        r'two Python plugins have the name "t-bad": Bad \(.*/p.py\) and Bad \(.*/q.py\)',
    ),
    "schema": (
        {"p.py": CLASS.replace("{}", '{"type": "oject"}') + PHASE},
        r"Python plugin \[t-bad\] cannot be used, .* get 503: its schema is invalid: ",
    ),
    "syntax": (
        {"p.py": "def x(:\n"},
        r"pygw.python_plugins: cannot import p.py: SyntaxError: invalid syntax .*p.py, line 3",
    ),
    "import": (
        {"p.py": "import nothing_of_this_name\n"},
        r"cannot import p.py: ModuleNotFoundError: No module named 'nothing_of_this_name' "
        r"\(.*/p.py:3\)",
    ),
    "unknown hook": (
        {"p.py": "@hookimpl\ndef pygw_worker_begin(worker_id): pass\n"},
        r"p.py: there is no hook `pygw_worker_begin`; the hooks are pygw_",
    ),
    "nothing": ({"p.py": "x = 1\n"}, r"pygw.python_plugins: p.py has neither a plugin nor a hook"),
    "start hook": (
        {"p.py": "@hookimpl\ndef pygw_worker_start(worker_id): 1 / 0\n"},
        r"a pygw_worker_start hook failed: ZeroDivisionError: division by zero \(.*/p.py:4\)",
    ),
    "init": (
        {"p.py": CLASS + PHASE + "    def init(self): 1 / 0\n"},
        r"plugin Bad \(.*/p.py\): init failed: ZeroDivisionError",
    ),
}
STOPPING = ("unknown hook", "nothing", "start hook")
NAMED = ("async phase", "schema", "init")  # who relies on these is not let through
SEEN_BY_TEST = [name for name in FAULTS if name not in ("schema", "start hook", "init")]


def check_refusal(process: subprocess.Popen[str], message: str) -> None:
    """It says that one thing on one line, nothing serves, and the exit code is 1."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("pygw: ")]
    assert len(said) == 1, err
    assert re.search(message, said[0]), err


@pytest.mark.parametrize("fault", STOPPING)
def test_a_fault_stops_the_start_with_one_clear_message(tmp_path: Path, fault: str) -> None:
    files, message = FAULTS[fault]
    configure(tmp_path, files)
    check_refusal(pygw(tmp_path, "run"), message)


@pytest.mark.parametrize("fault", SEEN_BY_TEST)
def test_pygw_test_finds_it_without_a_start(tmp_path: Path, fault: str) -> None:
    files, message = FAULTS[fault]
    configure(tmp_path, files)
    check_refusal(pygw(tmp_path, "test"), message)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in STOPPING])
def test_a_plugin_with_a_fault_is_told_and_the_others_go_on(run_with: Any, fault: str) -> None:
    files, message = FAULTS[fault]
    routes: dict[str, Any] = {"a": {"t-good": {}}}
    if fault in NAMED:
        routes["b"] = {"t-bad": {}}
    gateway, port = run_with({**files, "good.py": GOOD}, routes)
    assert get(port, "/a") == "good"
    if fault in NAMED:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get(port, "/b")
    gateway.terminate()
    _, log = gateway.communicate(timeout=PATIENCE)
    assert re.search(message, log), log


def test_a_python_plugin_with_the_name_of_a_lua_plugin_is_left_out(run_with: Any) -> None:
    clash = GOOD.replace("t-good", "key-auth").replace("Good", "Clash")
    gateway, port = run_with(
        {"p.py": GOOD + clash},
        {"a": {"t-good": {}}, "b": {"key-auth": {}}},
        {"plugins": ["key-auth"]},
    )
    assert get(port, "/a") == "good"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(port, "/b")
    gateway.terminate()
    _, log = gateway.communicate(timeout=PATIENCE)
    assert re.search(
        r'\[error\] .*plugin Clash \(.*/p.py\): "key-auth" is the Lua plugin .*/key-auth.lua, which'
        r" runs: take that out of `plugins:` in config.yaml, or rename yours",
        log,
    ), log


@pytest.mark.parametrize("name", ["gone.py", "dir/gone.py", "gone.module"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    configure(tmp_path, {"here.py": GOOD})
    config = json.loads((tmp_path / "config.yaml").read_text())
    config["pygw"]["python_plugins"] = ["here.py", name]
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    check_refusal(pygw(tmp_path, "test"), f"cannot import {name}: .*gone")


def test_a_reload_with_a_fault_keeps_the_old_plugins(run: Any, tmp_path: Path) -> None:
    gateway, port = run(GOOD, {"a": {"t-good": {}}})
    (tmp_path / "plugins.py").write_text("def x(:\n")
    reload = pygw(tmp_path, "reload")
    reload.communicate(timeout=PATIENCE)
    assert reload.returncode == 0
    kept = next(line for line in gateway.stderr if "the old configuration stays" in line)
    assert "cannot import plugins.py: SyntaxError" in kept
    assert get(port, "/a") == "good"
