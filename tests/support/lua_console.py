"""Runs pieces of Lua inside requests to a worker: for libraries that need cosockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

APP = """
return { content = function()
    local cjson = require "cjson"
    ngx.req.read_body()
    local chunk = assert(loadstring(ngx.req.get_body_data()))
    local function pack(ok, ...)
        local values = { ... }
        for i = 1, table.maxn(values) do
            if values[i] == nil then
                values[i] = cjson.null
            end
        end
        return { ok = ok, values = setmetatable(values, cjson.array_mt) }
    end
    ngx.print(cjson.encode(pack(xpcall(chunk, debug.traceback))))
end }
"""


class LuaConsole:
    """One worker. start: the fixture app_server or module_app_server."""

    def __init__(self, start: Callable[..., Any], **options: Any) -> None:
        self.server = start(APP, **options)

    def run(self, code: str) -> Any:
        """Run code as a function body; returns the list of its results, None for nil."""
        answer = json.loads(self.server.ask(method="POST", body=code.encode()).text)
        assert answer["ok"], answer["values"][0]
        return answer["values"]
