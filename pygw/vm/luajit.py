"""Owns which Lua runs and how it loads: LuaJIT 2.1 by lupa, its C API in sight of Lua's C modules.

Nobody else may import lupa: whoever came first would decide whether C modules (lpeg, cjson, …) find
the symbols that they need.
"""

from lupa import allow_lua_module_loading

with allow_lua_module_loading():
    from lupa.luajit21 import LuaError, LuaRuntime

__all__ = ["LuaError", "LuaRuntime"]
