"""Code that is compiled once for several runtimes is the same code; changed files are compiled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pygw.vm import compiled, runtime
from pygw.vm.runtime import create_runtime

LONG_AGO = 1_600_000_000


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> compiled.Compiled:
    """A store of this test's, for files of a directory of this test's."""
    made = compiled.Compiled()
    monkeypatch.setattr(compiled, "shared", made)
    monkeypatch.setattr(compiled, "_OURS", (f"{tmp_path}/",))
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "subject.lua", "return 1")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def load(file: Path, text: str | None = None) -> Any:
    """What the file returns in a new runtime."""
    code = "return assert(require('server.compiled').load(...))()"
    return create_runtime().execute(code, str(file), text)


def test_what_one_has_compiled_another_gets(store: compiled.Compiled, file: Path) -> None:
    assert load(file) == 1
    bytecode = store.find(str(file))
    assert bytecode
    assert bytecode.startswith(b"\x1bLJ")
    store.keep(str(file), create_runtime().eval("string.dump(function() return 2 end)"))
    assert load(file) == 2  # from the store


@pytest.mark.parametrize("text", ["return 3", "return 1 + 3"])
def test_a_file_that_changes_is_compiled(store: compiled.Compiled, file: Path, text: str) -> None:
    assert load(file) == 1
    file.write_text(text)
    assert store.find(str(file)) is None
    assert load(file) == int(text[-1]) + ("+" in text)


def test_what_changed_just_now_may_change_again(store: compiled.Compiled, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.lua"
    fresh.write_text("return 1")
    assert load(fresh) == 1
    assert store.find(str(fresh)) is None


def test_a_text_that_was_read_counts_in_place_of_the_file(
    store: compiled.Compiled, file: Path
) -> None:
    assert load(file, "return 5") == 5
    assert store.find(str(file), "return 5")
    assert store.find(str(file), "return 6") is None
    assert load(file, "return 6") == 6


def test_files_of_others_are_not_kept(
    store: compiled.Compiled, tmp_path_factory: pytest.TempPathFactory
) -> None:
    theirs = write(tmp_path_factory.mktemp("theirs") / "theirs.lua", "return 1")
    assert load(theirs) == 1
    assert store.find(str(theirs)) is None


def test_errors_and_lines_are_those_of_the_file(store: compiled.Compiled, tmp_path: Path) -> None:
    broken = write(tmp_path / "failing.lua", 'local a = 1\nreturn function()\n  error("no")\nend')
    said = []
    for _ in range(2):
        lua = create_runtime([f"{tmp_path}/?.lua"])
        said.append(
            lua.execute("""
                local fn = require "failing"
                local info = debug.getinfo(fn, "S")
                return info.source, info.linedefined, select(2, pcall(fn))
            """)
        )
    assert said[0][:2] == (f"@{broken}", 2)
    assert said[0][2].endswith("/failing.lua:3: no")
    assert said[1] == said[0]


def test_without_a_store_each_compiles(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(compiled, "shared", None)
    assert load(file) == 1
    assert runtime.compiled.shared is None


def test_a_module_that_is_no_lua_says_so(tmp_path: Path) -> None:
    write(tmp_path / "broken.lua", "return return")
    lua = create_runtime()
    lua.execute("package.path = ... .. '/?.lua'", str(tmp_path))
    error = lua.execute("return select(2, pcall(require, 'broken'))")
    assert error.startswith(f"error loading module 'broken' from file '{tmp_path}/broken.lua':\n")
    missing = lua.execute("return select(2, pcall(require, 'missing'))")
    assert f"no file '{tmp_path}/missing.lua'" in missing
