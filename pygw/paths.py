"""Owns where files are: Lua sources beside the package in a checkout, inside it once installed."""

from collections.abc import Iterable
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _find(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


LUA_DIR = _find("lua")
PLUGINS_DIR = _find("plugins")


def find_lua_plugin(
    name: str, lua_paths: Iterable[str], directories: Iterable[Path]
) -> Path | None:
    """The file of a Lua plugin, looked for as lua/server/searcher.lua does.

    First by `lua_paths` (package.path templates), then in the user's directories, then among the
    stock ones. A directory holds NAME.lua or NAME/init.lua, below apisix/plugins or at its top.
    """
    file = name.replace(".", "/")
    candidates = [Path(template.replace("?", f"apisix/plugins/{file}")) for template in lua_paths]
    for directory in [*directories, PLUGINS_DIR]:
        for folder in (directory / "apisix" / "plugins", directory):
            candidates += [folder / f"{file}.lua", folder / file / "init.lua"]
    return next((path for path in candidates if path.is_file()), None)
