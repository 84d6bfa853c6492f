"""The test kit of plugin authors: a whole gateway in the process of the test.

`plugin` has the fixtures that pytest finds by itself, `gateway` what they give. Must never be
imported by the gateway.
"""

from pygw.testing.gateway import Gateway, GatewayError, running
from pygw.testing.inside import LuaError
from pygw.testing.lua_plugin import LuaPlugin
from pygw.testing.messages import Answer, Headers, Seen
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
