"""Owns the run of `pygw check FILE.yaml`: settings and files in, reports out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pygw.check.configuration import FileReport, check_file
from pygw.check.judge import Judge, as_file
from pygw.config.settings import Settings
from pygw.extensions.manager import ExtensionError, Extensions
from pygw.plugin import Plugin

_ENDINGS = (".yaml", ".yml", ".json")


def is_configuration(argument: str) -> bool:
    """Whether an argument of `pygw check` means a configuration, not a plugin."""
    return argument.endswith(_ENDINGS) and not Path(argument).is_dir()


def check_files(files: Iterable[str], settings: Settings) -> list[FileReport]:
    """Check configurations. Raises ExtensionError, StartError."""
    extensions = Extensions(settings)
    plugins = extensions.find_plugins()
    for fault in extensions.faults:
        raise ExtensionError(fault)
    return list(checked((Path(file) for file in files), settings, plugins))


def checked(
    files: Iterable[Path], settings: Settings, plugins: Mapping[str, Plugin]
) -> Iterator[FileReport]:
    """As `check_files`, with the Python plugins at hand."""
    judge = Judge(as_file(settings), plugins)
    try:
        for file in files:
            yield check_file(file, judge)
    finally:
        judge.close()
