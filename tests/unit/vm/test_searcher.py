"""Whose file a module name means: the user's path wins, except for the runtime's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from pygw.vm.runtime import create_runtime


def write(directory: Path, *names: str) -> str:
    """Modules of the user's that return "theirs"; returns the path template."""
    for name in names:
        file = directory / f"{name.replace('.', '/')}.lua"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('return "theirs"')
    return f"{directory}/?.lua"


@pytest.mark.parametrize(
    "name", ["resty.lrucache", "cjson", "resty.corelib", "apisix.plugins.cors"]
)
def test_the_users_path_wins(tmp_path: Path, name: str) -> None:
    runtime = create_runtime([write(tmp_path, name)])
    assert runtime.eval(f"(require '{name}')") == "theirs"


@pytest.mark.parametrize(
    "name", ["ngx.re", "resty.core", "resty.core.base", "resty.events.compat", "server.task"]
)
def test_modules_of_the_runtime_are_always_ours(tmp_path: Path, name: str) -> None:
    runtime = create_runtime([write(tmp_path, name)])
    runtime.execute('require "ngx.api"')
    assert runtime.eval(f"(require '{name}')") != "theirs"


def test_a_module_that_the_runtime_lacks_is_taken_from_the_users_path(tmp_path: Path) -> None:
    runtime = create_runtime([write(tmp_path, "ngx.of_mine")])
    assert runtime.eval("(require 'ngx.of_mine')") == "theirs"


def test_types_of_nginx_may_be_named_in_declarations(tmp_path: Path) -> None:
    runtime = create_runtime()
    size = runtime.execute(
        """
        require "ngx.api"
        require "resty.core.base"
        local ffi = require "ffi"
        ffi.cdef "int of_some_module(ngx_http_request_t *r, ngx_str_t *name);"
        return ffi.sizeof("ngx_str_t")
        """
    )
    assert size == 16


def test_c_modules_load_in_a_gateway() -> None:
    """Whatever is imported first: in a process of its own, since loading happens once."""
    code = """if True:
        import pygw.gateway
        from pygw.vm.runtime import create_runtime
        lua = create_runtime(lua_cpaths=["/usr/lib/x86_64-linux-gnu/lua/5.1/?.so"])
        print(lua.eval('require("cjson").encode({1})'))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[1]\n", done.stderr
