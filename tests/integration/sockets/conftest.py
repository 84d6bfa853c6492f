"""Fixtures of the tests of sockets and of the libraries that are made of them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.memcached_server import running
from support.resty_http import Run, runner
from support.upstream import Script, Upstream


@pytest.fixture(scope="module")
def console(module_app_server: Callable[..., Any]) -> LuaConsole:
    """Runs pieces of Lua inside requests to one worker."""
    return LuaConsole(module_app_server)


@pytest.fixture(scope="module")
def memcached() -> Iterator[int]:
    """The port of a memcached."""
    with running() as port:
        yield port


@pytest.fixture
def run(console: LuaConsole, upstream: Callable[[Script], Upstream]) -> Run:
    """run(script, code): Lua beside a client of resty.http, see support.resty_http."""
    return runner(console, upstream, connected=False)


@pytest.fixture
def connected(console: LuaConsole, upstream: Callable[[Script], Upstream]) -> Run:
    """The same with `httpc` connected to the script's server."""
    return runner(console, upstream, connected=True)
