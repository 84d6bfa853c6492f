"""Owns the coverage of Lua files: a plugin of coverage.py, which reports them as it does Python.

    [run]
    plugins = pygw.testing.coverage

Gateways under test note the lines that run (see lua/testing/hooks.lua); this hands them over and
says which lines could have. Must never measure by itself.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygw.paths import LUA_DIR

if TYPE_CHECKING:
    from coverage import CoveragePlugin, FileReporter
    from coverage.plugin_support import Plugins
else:
    try:
        from coverage import CoveragePlugin, FileReporter
    except ImportError:  # nobody measures
        CoveragePlugin = FileReporter = object

_NO_COVER = "pragma: no cover"
_HINT = (
    "Lua lines are not reported: coverage's configuration lacks `plugins = pygw.testing.coverage`"
)


class LuaCoverage(CoveragePlugin):
    """What coverage.py asks about Lua files."""

    def file_reporter(self, filename: str) -> FileReporter:
        """The reporter of a Lua file."""
        return LuaFile(filename)

    def find_executable_files(self, src_dir: str) -> Iterable[str]:
        """Lua files below a directory, for those that no test has run."""
        return map(str, sorted(Path(src_dir).rglob("*.lua")))


class LuaFile(FileReporter):
    """One Lua file."""

    def lines(self) -> set[int]:
        """The lines that can run. Raises NoSource when it is no Lua."""
        path = Path(self.filename)
        found, error = _executable(str(path), path.stat().st_mtime_ns)
        if error:
            from coverage.exceptions import NoSource

            raise NoSource(f"{self.filename}: {error}")
        return set(found)

    def excluded_lines(self) -> set[int]:
        """Lines that say `pragma: no cover`."""
        lines = self.source().splitlines()
        return {number for number, line in enumerate(lines, 1) if _NO_COVER in line}


def coverage_init(registry: Plugins, options: dict[str, Any]) -> None:
    """Called by coverage.py."""
    registry.add_file_tracer(LuaCoverage())


def active() -> Any:
    """The Coverage that measures now, or None."""
    coverage = sys.modules.get("coverage")
    return coverage.Coverage.current() if coverage else None


def add(cov: Any, ran: str) -> None:
    """Hand over the lines that ran: "file:line" in lines of text."""
    lines: dict[str, set[int]] = {}
    for each in ran.splitlines():
        file, _, line = each.rpartition(":")
        if path := _wanted(file, tuple(cov.get_option("run:source") or ())):
            lines.setdefault(path, set()).add(int(line))
    if not lines:
        return
    name = f"{LuaCoverage.__module__}.{LuaCoverage.__name__}"
    if "pygw.testing.coverage" not in (cov.get_option("run:plugins") or []):
        warnings.warn(_HINT, stacklevel=2)
        return
    data = cov.get_data()
    if data.has_arcs():
        data.add_arcs({path: set(_arcs(sorted(found))) for path, found in lines.items()})
    else:
        data.add_lines(lines)
    data.add_file_tracers(dict.fromkeys(lines, name))


def _arcs(lines: list[int]) -> Iterator[tuple[int, int]]:
    """Where branches are measured, coverage.py wants pairs; of Lua the lines are known alone."""
    return zip([-1, *lines], [*lines, -1], strict=True)


@cache
def _wanted(file: str, sources: tuple[str, ...]) -> str | None:
    path = Path(file).resolve()
    if path.is_relative_to(LUA_DIR) or not path.is_file():
        return None
    if sources and not any(path.is_relative_to(Path(source).resolve()) for source in sources):
        return None
    return str(path)


@cache
def _executable(path: str, _changed: int) -> tuple[tuple[int, ...], str | None]:
    from pygw.vm.runtime import create_runtime

    find = create_runtime().eval('require "testing.executable"')
    found = find(path)
    if isinstance(found, tuple):
        return (), str(found[1])
    return tuple(int(line) for line in str(found).split(",") if line), None
