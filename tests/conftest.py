"""Fixtures that every test may use."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.app_server import AppServer, running_app
from support.upstream import Upstream, running_upstream

from pygw.vm import compiled
from pygw.vm.runtime import create_runtime

compiled.share()  # among the thousands of Lua VMs of this process

pytest_plugins = [
    "support.shuffle",
    "support.leftovers",
    "support.deadline",
    "conformance.openresty.plugin",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--apisix",
        metavar="DIR",
        type=Path,
        help="an APISIX 3.18 checkout: run its own plugins too, unchanged",
    )
    parser.addoption(
        "--apisix-tree",
        metavar="DIR",
        type=Path,
        help="an APISIX 3.9.1 checkout: boot it whole, unchanged; needs --lua-tree too",
    )
    parser.addoption(
        "--lua-tree",
        "--lua-path",
        metavar="DIR",
        type=Path,
        action="append",
        help="a LuaRocks tree (share/lua/5.1, lib/lua/5.1) of its dependencies; repeatable",
    )


def pytest_configure() -> None:
    """What tests start is not under the options of this run, nor under the SIGINT that a shell
    ignores for what it starts in the background.
    """
    os.environ.pop("PYTEST_ADDOPTS", None)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def lua() -> Any:
    """A fresh Lua runtime with the global `ngx`, but no server behind it."""
    runtime = create_runtime()
    runtime.execute('require "ngx.api"')
    return runtime


@pytest.fixture
def run_lua(lua: Any) -> Callable[..., Any]:
    """Run Lua code as a function body and return its results."""

    def run(code: str, *args: Any) -> Any:
        return lua.execute(code, *args)

    return run


def _starter(start: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(start(*args, **options))


@pytest.fixture
def app_server() -> Iterator[Callable[..., AppServer]]:
    """Run a Lua application in a worker process: app_server(source, virtual=False, **settings)."""
    yield from _starter(running_app)


@pytest.fixture(scope="module")
def module_app_server() -> Iterator[Callable[..., AppServer]]:
    """The same, for as long as the module's tests run."""
    yield from _starter(running_app)


@pytest.fixture
def upstream() -> Iterator[Callable[..., Upstream]]:
    """Run an upstream server by a script: upstream(script, buffer=None); see support.upstream."""
    yield from _starter(running_upstream)
