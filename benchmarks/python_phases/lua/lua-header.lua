-- Reads one header and sets one: the twin of py-header.
local core = require "apisix.core"

return {
    version = 0.1, priority = 10, name = "lua-header", schema = { type = "object" },
    access = function(_, ctx)
        core.request.set_header(ctx, "x-gateway", core.request.header(ctx, "x-team") or "")
    end,
}
