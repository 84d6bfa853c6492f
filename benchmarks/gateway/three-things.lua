-- The plugin of the benchmark: the three things that nginx + ngx_lua does beside it.
local core = require("apisix.core")

local _M = {
    version = 0.1,
    priority = 1000,
    name = "three-things",
    schema = { type = "object", properties = {} },
}

function _M.check_schema(conf)
    return core.schema.check(_M.schema, conf)
end

function _M.rewrite(_, ctx)
    local _ = core.request.header(ctx, "x-bench")
end

function _M.access(_, ctx)
    core.request.set_header(ctx, "X-Gateway", "bench")
end

function _M.header_filter()
    core.response.set_header("X-Served-By", "bench")
end

return _M
