"""A shared dictionary for each test, as the global `d` of the fixture `lua`."""

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]


@pytest.fixture
def ask(lua: Any, clock: Any) -> Ask:
    """Evaluate a Lua expression list; its values come as a list. `d` is a 32 KiB dictionary."""
    lua.execute('d = require("ngx.shdict").declare("dogs", 32 * 1024)')

    def evaluate(expressions: str) -> list[Any]:
        count_and_values = lua.execute(
            "local function counted(...) return select('#', ...), ... end "
            f"return counted({expressions})"
        )
        return list(count_and_values)[1:] if isinstance(count_and_values, tuple) else []

    return evaluate
