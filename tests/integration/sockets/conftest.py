"""Fixtures of the tests of sockets and of the libraries that are made of them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.memcached_server import running


@pytest.fixture(scope="module")
def console(module_app_server: Callable[..., Any]) -> LuaConsole:
    """Runs pieces of Lua inside requests to one worker."""
    return LuaConsole(module_app_server)


@pytest.fixture(scope="module")
def memcached() -> Iterator[int]:
    """The port of a memcached."""
    with running() as port:
        yield port
