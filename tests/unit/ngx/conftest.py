"""One Lua runtime for a module's property tests, which must not build one for each example."""

from collections.abc import Callable
from typing import Any

import pytest

from pygw.vm.runtime import create_runtime


@pytest.fixture(scope="module")
def call() -> Callable[..., Any]:
    """Call a function given by a Lua expression: `call("ngx.md5", b"text")`."""
    runtime = create_runtime()
    runtime.execute('require "ngx.api"')
    functions: dict[str, Any] = {}

    def invoke(name: str, *args: Any) -> Any:
        if name not in functions:
            functions[name] = runtime.eval(name)
        return functions[name](*args)

    return invoke
