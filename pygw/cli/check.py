"""Owns what `pygw test` looks at beyond config.yaml itself: the files that it names.

Must start nothing and change nothing: Lua files are compiled, never run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pygw.config.settings import Settings
from pygw.config.yamlfile import ConfigError, read_file
from pygw.paths import find_lua_plugin
from pygw.vm.runtime import create_runtime


def problems(settings: Settings, app: str | None) -> list[str]:
    """Everything that would keep the gateway from running as configured, one line each."""
    found = list(_unreadable(settings))
    files = {f"application {app}": Path(app)} if app else dict(_plugin_files(settings, found))
    return found + list(_uncompilable(files))


def _unreadable(settings: Settings) -> Iterator[str]:
    if settings.provider == "yaml":
        try:
            read_file(settings.yaml_path, variables="text")
        except ConfigError as error:
            yield str(error)
    for directory in settings.plugin_dirs:
        if not directory.is_dir():
            yield f"{settings.source}: pygw.plugin_dirs: {directory} is not a directory"


def _plugin_files(settings: Settings, found: list[str]) -> Iterator[tuple[str, Path]]:
    for name in settings.plugins:
        path = find_lua_plugin(name, settings.lua_paths, settings.plugin_dirs)
        if path is None:
            found.append(f"{settings.source}: plugins: no plugin is called {name}")
        else:
            yield f"plugin {name}", path


def _uncompilable(files: dict[str, Path]) -> Iterator[str]:
    runtime = create_runtime()
    compile_lua = runtime.eval(
        "function(path) local ok, err = loadfile(path) return ok and '' or err end"
    )
    for what, path in files.items():
        error = compile_lua(str(path).encode())
        if error:
            yield f"{what}: {error}"
