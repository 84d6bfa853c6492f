"""Fixtures that every test may use."""

from collections.abc import Callable
from typing import Any

import pytest

from pygw.vm.runtime import create_runtime


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
