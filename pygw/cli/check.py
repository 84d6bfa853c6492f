"""Owns what `pygw test` looks at beyond config.yaml itself: the files that it names, and the store.

Must start nothing and change nothing: Lua files are compiled, plugins are loaded into a VM that no
event loop drives; Python plugins are imported, as a start would.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pygw.check.configuration import check_file
from pygw.check.judge import Judge
from pygw.check.stored import stored_faults
from pygw.config.settings import Settings
from pygw.config.store import StoreError
from pygw.extensions.manager import ExtensionError, Extensions
from pygw.paths import find_lua_plugin
from pygw.plugin import Plugin
from pygw.vm.runtime import create_runtime
from pygw.vm.worker import StartError


def problems(
    settings: Settings, app: str | None, count: Callable[[str, int], None] | None = None
) -> list[str]:
    """Everything that would keep the gateway from running as configured, one line each.

    count: look into the store, too; it hears the store's prefix and how many items are there.
    """
    found = list(_missing(settings))
    python_plugins: dict[str, Plugin] = {}
    try:
        extensions = Extensions(settings)
        python_plugins = extensions.find_plugins()
        found += [f"{settings.source}: {e}" for e in extensions.faults]
    except ExtensionError as error:
        found.append(f"{settings.source}: {error}")
    if app:
        return found + list(_uncompilable({"application": Path(app)}))
    files: dict[str, Path] = {}
    for name in settings.plugins:
        path = find_lua_plugin(name, settings.lua_paths, settings.plugin_dirs)
        if path is not None:
            files[f"plugin {name}"] = path
        elif name not in python_plugins:
            found.append(f"{settings.source}: plugins: no plugin is called {name}")
    found += _uncompilable(files)
    try:
        judge = Judge(settings, python_plugins)
    except StartError as error:
        return [*found, f"the plugins cannot be asked: {error}"]
    try:
        return found + list(_judged(settings, judge, python_plugins, count))
    finally:
        judge.close()


def _judged(
    settings: Settings,
    judge: Judge,
    plugins: Mapping[str, Plugin],
    count: Callable[[str, int], None] | None,
) -> Iterator[str]:
    for name, fault in sorted(judge.broken.items()):
        where = type(plugins[name])
        yield f"Python plugin {name} ({where.__module__}.{where.__qualname__}): {fault}"
    if settings.provider == "yaml":
        report = check_file(settings.yaml_path, judge)
        yield from (problem.text(report.file) for problem in report.problems)
    elif count:
        try:
            yield from stored_faults(settings, judge, count)
        except StoreError as error:
            yield f"the store cannot be read: {error}"


def _missing(settings: Settings) -> Iterator[str]:
    for directory in settings.plugin_dirs:
        if not directory.is_dir():
            yield f"{settings.source}: pygw.plugin_dirs: {directory} is not a directory"


def _uncompilable(files: dict[str, Path]) -> Iterator[str]:
    runtime = create_runtime()
    compile_lua = runtime.eval(
        "function(path) local ok, err = loadfile(path) return ok and '' or err end"
    )
    for what, path in files.items():
        error = compile_lua(os.fsencode(path)).encode("latin-1").decode("utf-8", "replace")
        if error:
            where = re.sub(r"^.*?(?=:\d+: )", str(path), error, count=1)  # Lua shortens the path
            yield f"{what}: {where}"
