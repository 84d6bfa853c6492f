"""Penlight, which Debian ships as lua-penlight, beside pygw's own libraries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/usr/share/lua/5.1/pl").is_dir(), reason="needs Debian's package lua-penlight"
)


def test_the_parts_that_plugins_require(run_lua: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    code = """
        local path, stringx, tablex = require "pl.path", require "pl.stringx", require "pl.tablex"
        local directory = ...
        return path.join("a", "b"), path.isfile(directory .. "/a.txt"), path.isdir(directory),
            stringx.strip("  x "), stringx.split("a,b", ",")[2], tablex.size{ a = 1, b = 2 }
    """
    assert run_lua(code, str(tmp_path)) == ("a/b", True, True, "x", "b", 2)


def test_what_pygw_has_comes_first(run_lua: Callable[..., Any]) -> None:
    code = 'return package.searchpath("cjson", package.path), package.path'
    found, path = run_lua(code)
    assert "/usr/share/lua/5.1/cjson" not in (found or "")
    assert path.endswith("/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua")
