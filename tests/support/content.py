"""Lua that runs as the body of a content handler, for tests that read what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: say(...): a line of the values, as tostring gives them, separated by blanks.
SAY = """
local function say(...)
    local parts = {}
    for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
    ngx.say(table.concat(parts, " "))
end
"""


def content_runner(app_server: Callable[..., Any]) -> Callable[..., list[str]]:
    """Make run(code, head="", settings="{}"), which returns the lines that the code says.

    head: Lua before the application. settings: the application's, a Lua table.
    """

    def run(code: str, head: str = "", settings: str = "{}") -> list[str]:
        source = f"return {{ settings = {settings}, content = function() {code} end }}"
        server = app_server(f"{SAY} {head} {source}")
        response = server.ask()
        assert response.status == 200, server.log.text
        return list(response.text.splitlines())

    return run
