"""Where Python plugins are found, besides the files of `pygw.python_plugins`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from integration.python_plugins.processes import GOOD, HEAD, PATIENCE, get

ENTRY = {
    "a module": "ext",
    "a class": "ext:Good",
}


@pytest.mark.parametrize("value", ENTRY.values(), ids=ENTRY)
def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path, run_with: Any, value: str) -> None:
    site = tmp_path / "site"
    info = site / "ext-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "ext.py").write_text(HEAD + GOOD)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ext\nVersion: 1.0\n")
    bad = "bad = nothing_of_this_name" if value == "ext" else ""
    (info / "entry_points.txt").write_text(f"[pygw]\ngood = {value}\n{bad}\n")
    gateway, port = run_with({}, {"a": {"t-good": {}}}, path=site)
    assert get(port, "/a") == "good"
    gateway.terminate()
    _, log = gateway.communicate(timeout=PATIENCE)
    told = "the entry point bad = nothing_of_this_name cannot be imported: ModuleNotFoundError"
    assert (told in log) == bool(bad)


@pytest.mark.parametrize("name", ["good.py", "good:Good"])
def test_a_plugin_is_found_by_its_path_in_plugins(tmp_path: Path, run_with: Any, name: str) -> None:
    (tmp_path / "good.py").write_text(HEAD + GOOD)
    _, port = run_with({}, {"a": {"t-good": {}}}, {"plugins": [name, "key-auth"]}, path=tmp_path)
    assert get(port, "/a") == "good"
