"""Owns where files are: Lua sources beside the package in a checkout, inside it once installed."""

from collections.abc import Iterable
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _find(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


LUA_DIR = _find("lua")
PLUGINS_DIR = _find("plugins")


def find_lua_plugin(name: str, directories: Iterable[Path]) -> Path | None:
    """The file of a Lua plugin: the user's directories in order, then the stock ones.

    A directory holds NAME.lua or NAME/init.lua, at its top or, if it is an APISIX tree, below
    apisix/plugins.
    """
    for directory in [*directories, PLUGINS_DIR]:
        for folder in (directory, directory / "apisix" / "plugins"):
            for path in (folder / f"{name}.lua", folder / name / "init.lua"):
                if path.is_file():
                    return path
    return None
