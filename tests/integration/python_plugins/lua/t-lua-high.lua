-- Leaves its name in "x-order" of the request and of the response; priority 900.
local core = require "apisix.core"

local function mark(conf, ctx)
    local seen = core.request.header(ctx, "x-order")
    core.request.set_header(ctx, "x-order", (seen and seen .. " " or "") .. "high")
end

return {
    version = 0.1, priority = 900, name = "t-lua-high", schema = { type = "object" },
    rewrite = mark, access = mark, before_proxy = mark,
    header_filter = function()
        ngx.header["x-order"] = (ngx.header["x-order"] and ngx.header["x-order"] .. " " or "") .. "high"
    end,
    body_filter = function()
        ngx.arg[1] = ngx.arg[1] and ngx.arg[1]:gsub("ORDER", "ORDER high")
    end,
    log = function() core.log.warn("log of high") end,
}
