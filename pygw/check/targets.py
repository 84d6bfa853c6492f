"""Owns which plugin files the arguments of `pygw check` mean: files, directories, names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pygw.check.model import Target
from pygw.config.settings import Settings
from pygw.paths import PLUGINS_DIR, find_lua_plugin


class TargetError(Exception):
    """An argument means no plugin; the message says why."""


@dataclass(frozen=True)
class Targets:
    """The plugins of one argument; directory: where they were looked for, None of a single one."""

    plugins: tuple[Target, ...]
    directory: Path | None = None


def find_targets(argument: str, settings: Settings) -> Targets:
    """The plugins that an argument means. Raises TargetError."""
    path = Path(argument)
    if path.is_dir():
        directory = _plugins_below(path)
        plugins = tuple(_in_directory(directory))
        if not plugins:
            raise TargetError(f"{argument}: no plugin there (NAME.lua or NAME/init.lua)")
        return Targets(plugins, directory)
    if path.is_file():
        if path.suffix != ".lua":
            raise TargetError(f"{argument}: a plugin's file ends in .lua")
        return Targets((Target(_name_of(path), path.absolute()),))
    if "/" in argument or argument.endswith(".lua"):
        raise TargetError(f"{argument}: no such file or directory")
    return Targets((_named(argument, settings),))


def configured(settings: Settings) -> Targets:
    """The Lua plugins that the configuration names, which are files."""
    names = settings.plugins
    found = {
        name: find_lua_plugin(name, settings.lua_paths, settings.plugin_dirs) for name in names
    }
    return Targets(
        tuple(Target(name, file.absolute()) for name, file in found.items() if file),
        settings.base,
    )


def is_part(target: Target, problems: Iterable[tuple[str, str]]) -> bool:
    """Whether NAME/init.lua of a directory is no plugin but a part that plugins share."""
    if target.file.name != "init.lua":
        return False
    about = {what for kind, what in problems if kind == "plugin"}
    return bool(about & {"module", "priority"}) or b"priority" not in target.file.read_bytes()


def _plugins_below(path: Path) -> Path:
    inner = path / "apisix" / "plugins"
    return inner if inner.is_dir() else path


def _name_of(file: Path) -> str:
    return file.absolute().parent.name if file.name == "init.lua" else file.stem


def _in_directory(directory: Path) -> Iterator[Target]:
    files = {file.parent.name: file for file in directory.glob("*/init.lua")}
    files |= {file.stem: file for file in directory.glob("*.lua")}
    for name in sorted(files):
        yield Target(name, files[name].absolute())


def _named(name: str, settings: Settings) -> Target:
    file = find_lua_plugin(name, settings.lua_paths, settings.plugin_dirs)
    if file:
        return Target(name, file.absolute())
    directories = [*settings.plugin_dirs, PLUGINS_DIR]
    known = [target.name for each in directories for target in _in_directory(_plugins_below(each))]
    close = get_close_matches(name, known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise TargetError(f"no Lua plugin is called {name}{hint}")
