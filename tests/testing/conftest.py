"""The test kit, used as its users do: its own fixtures, not those of our other tests."""

from __future__ import annotations

from pathlib import Path

import pytest

GREETER = """\
local core = require "apisix.core"
local schema = {
    type = "object",
    properties = { name = { type = "string", default = "you" } },
    additionalProperties = false,
}
local _M = { version = 0.1, priority = 10, name = "greeter", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.access(conf, ctx)
    local name = core.request.header(ctx, "X-Name") or conf.name
    if name == "stop" then
        return 403, { message = "no" }
    end
    ctx.greeted = name
    core.log.warn("greeting ", name)
    core.request.set_header(ctx, "X-Greeted", name)
end

return _M
"""


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """The file of a Lua plugin."""
    file = tmp_path / "greeter.lua"
    file.write_text(GREETER)
    return file
