"""Owns the creation of a LuaJIT runtime: its string encoding, its JIT and its module path.

Must never know of requests or of the hub; the bridge connects those.
"""

from collections.abc import Iterable
from pathlib import Path

from pygw.paths import LUA_DIR, PLUGINS_DIR
from pygw.vm import compiled
from pygw.vm.luajit import LuaRuntime

# Room for the traces of a whole gateway. The first four are the limits that OpenResty runs with;
# with LuaJIT's own bounds on constants, snapshots and side exits, whether the request path is
# compiled is a matter of luck (user CPU per request 4.4-7.0 µs from run to run; so 3.9-4.6).
_JIT = (
    'jit.opt.start("maxtrace=8000", "maxrecord=16000", "minstitch=3", "maxmcode=40960",'
    ' "maxirconst=4000", "maxsnap=2000", "maxside=1000")'
)

#: Where Debian puts libraries of plain Lua, such as lua-penlight's `pl`: after all others.
DEBIAN = ("/usr/share/lua/5.1/?.lua", "/usr/share/lua/5.1/?/init.lua")


def create_runtime(
    lua_paths: Iterable[str] = (),
    lua_cpaths: Iterable[str] = (),
    plugin_dirs: Iterable[Path] = (),
) -> LuaRuntime:
    """Return a LuaJIT runtime that finds pygw's Lua modules.

    `lua_paths` and `lua_cpaths` are `package.path`/`package.cpath` patterns that win over ours;
    `plugin_dirs` are searched for `apisix.plugins.*` before the stock plugins.
    Strings cross as latin-1: every byte string has exactly one `str` and back; `bytes` given to
    Lua arrive as Lua strings.
    """
    runtime = LuaRuntime(
        encoding="latin-1",
        unpack_returned_tuples=True,
        register_eval=False,
        register_builtins=False,
    )
    runtime.execute(_JIT)
    package = runtime.globals().package
    ours = [f"{LUA_DIR}/?.lua", f"{LUA_DIR}/?/init.lua"]
    extra = ";".join(lua_paths)
    package.path = ";".join([*lua_paths, *ours, *DEBIAN])
    package.cpath = ";".join([*lua_cpaths, package.cpath])
    directories = runtime.table_from([str(path) for path in (*plugin_dirs, PLUGINS_DIR)])
    if compiled.shared is not None:
        attach = runtime.eval('require("server.compiled").attach')
        attach(compiled.shared.find, compiled.shared.keep)
    install_searcher = runtime.eval("dofile")(f"{LUA_DIR}/server/searcher.lua")
    install_searcher(extra, ";".join(ours), directories)
    return runtime
