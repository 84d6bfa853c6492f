"""Plugins that change while workers and Admin API run: both know the new code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PLUGIN = """
local core = require "apisix.core"
local schema = { type = "object", properties = { word = { type = "%s" } } }
local _M = { version = 0.1, priority = 10, name = "greeting", schema = schema }
function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end
function _M.access(conf)
    return %d, ngx.worker.pid()
end
return _M
"""


def test_a_new_schema_counts_for_the_admin_api_and_every_worker(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "greeting.lua"
    file.write_text(PLUGIN % ("string", 201))
    pygw = {"plugin_dirs": [str(tmp_path)], "watch_plugins": True}
    gateway = start(config_changes={"plugins": ["greeting"], "pygw": pygw})
    route = {"uri": "/", "plugins": {"greeting": {}}}
    assert gateway.admin("PUT", "routes/1", route).status == 201
    gateway.until("/", 201)
    other = {"uri": "/x", "plugins": {"greeting": {"word": 5}}}
    assert gateway.admin("PUT", "routes/2", other).status == 400
    file.write_text(PLUGIN % ("number", 202))
    while gateway.admin("PUT", "routes/2", other).status == 400:
        pass
    answered: dict[bytes, int] = {}
    while len(answered) < 2 or set(answered.values()) != {202}:
        answer = gateway.get("/")
        answered[answer.body] = answer.status
