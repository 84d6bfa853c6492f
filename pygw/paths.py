"""Where the Lua sources live: beside the package in a checkout, inside it once installed."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _find(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


LUA_DIR = _find("lua")
PLUGINS_DIR = _find("plugins")
