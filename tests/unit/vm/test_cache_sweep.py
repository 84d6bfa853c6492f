"""The looking through of a cache's files."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pygw.vm.cache_sweep import sweep_cache


def file(directory: Path, number: int, age: float, size: int = 100, tail: str = "") -> Path:
    path = directory / f"{number:032x}{tail}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    used = time.time() - age
    os.utime(path, (used, used))
    return path


def test_what_was_unused_for_longest_goes_first(tmp_path: Path) -> None:
    files = [file(tmp_path / f"{i}", i, age=100 - i) for i in range(10)]
    assert sweep_cache(str(tmp_path), 350, 1000)
    assert [each.exists() for each in files] == [False] * 7 + [True] * 3


def test_what_nobody_asks_for_goes(tmp_path: Path) -> None:
    old, new = file(tmp_path, 1, age=61), file(tmp_path, 2, age=59)
    sweep_cache(str(tmp_path), 10_000, 60)
    assert (old.exists(), new.exists()) == (False, True)


def test_what_is_being_written_stays_for_an_hour(tmp_path: Path) -> None:
    young = file(tmp_path, 1, age=3500, tail=".12.1")
    old = file(tmp_path, 2, age=3700, tail=".12.2")
    sweep_cache(str(tmp_path), 0, 60)
    assert (young.exists(), old.exists()) == (True, False)


def test_files_of_others_stay(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("x")
    os.utime(other, (0, 0))
    sweep_cache(str(tmp_path), 0, 1)
    assert other.exists()


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert sweep_cache(str(tmp_path / "none"), 0, 1)
