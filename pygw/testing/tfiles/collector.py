"""Owns what pytest does with specifications: their files are found, their blocks run meanwhile.

Registered by `enable` alone: who asks for no specification pays nothing for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pygw.testing.tfiles import spec
from pygw.testing.tfiles.items import BlockItem, SpecFile
from pygw.testing.tfiles.pool import Pool, environment

_NAME = "pygw-t"


def enable(config: pytest.Config, paths: list[Path]) -> None:
    """Have pytest run the specifications among `paths`: files, or directories of .t files.

    They are all that runs where the command line names nothing else.
    Raises pytest.UsageError when one is not there, or perl is missing.
    """
    for path in paths:
        if not path.exists():
            raise pytest.UsageError(f"--pygw-t {path}: no such file or directory")
    if paths and (why := spec.perl_trouble()):
        raise pytest.UsageError(f"--pygw-t: {why}")
    given = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    config.args = [*given, *map(str, paths)] if paths else config.args
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(Collector(paths), _NAME)


def load(checkout: Path, path: Path) -> spec.Spec | spec.SpecError:
    """A specification, or what perl says is wrong with it."""
    try:
        return spec.load(checkout, path, environment(Path("/nowhere/t/servroot"), 1984))
    except spec.SpecError as error:
        return error


def checkout_of(path: Path) -> tuple[Path, Path]:
    """The directory that perl and blocks see a file from, and the file's path in it.

    It is the one around the nearest t/, or the file's own.
    """
    around = next((each.parent for each in path.parents if each.name == "t"), path.parent)
    return around, path.relative_to(around)


class Collector:
    """The hooks. paths: where files end in .t are specifications."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = [path.absolute() for path in paths]
        self._pool: Pool | None = None

    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        file = file_path.absolute()
        named = file in self._paths
        found = file.suffix == ".t" and any(path in file.parents for path in self._paths)
        if not named and not found:
            return None
        checkout, path = checkout_of(file)
        return SpecFile.from_parent(
            parent, path=file_path, source=(checkout, path), found=load(checkout, path)
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin, when it is known which blocks are to run."""
        items = [item for item in session.items if isinstance(item, BlockItem) and not item.future]
        option = session.config.option
        if not items or option.collectonly:
            return
        self._pool = Pool(min(option.pygw_t_jobs, len(items)), option.pygw_t_keep)
        futures = self._pool.submit(item.source for item in items)
        for item, future in zip(items, futures, strict=True):
            item.future = future

    def pytest_sessionfinish(self) -> None:
        if self._pool:
            self._pool.close()
