"""The test kit of plugin authors: a whole gateway in the process of the test.

`plugin` has the fixtures that pytest finds by itself, `gateway` what they give. Must never be
imported by the gateway. Wherever pygw is installed pytest loads `plugin`, and with it this module:
the rest is imported by those who use it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pygw.testing.gateway import Gateway, GatewayError
    from pygw.testing.inside import LuaError
    from pygw.testing.lua_plugin import LuaPlugin
    from pygw.testing.messages import Answer, Headers, Seen
    from pygw.testing.runner import running
    from pygw.testing.upstream import Upstream

__all__ = [
    "Answer",
    "Gateway",
    "GatewayError",
    "Headers",
    "LuaError",
    "LuaPlugin",
    "Seen",
    "Upstream",
    "running",
]

_HOMES = {
    "gateway": ("Gateway", "GatewayError"),
    "inside": ("LuaError",),
    "lua_plugin": ("LuaPlugin",),
    "messages": ("Answer", "Headers", "Seen"),
    "runner": ("running",),
    "upstream": ("Upstream",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
