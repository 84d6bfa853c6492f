-- Owns a plugin that writes in the response's body, in body_filter and after all others in delayed_body_filter.
local core = require "apisix.core"

local _M = {
    version = 0.1, priority = 50, name = "t-body",
    schema = { type = "object", properties = { fails = { type = "boolean" } } },
}

function _M.check_schema(conf)
    return core.schema.check(_M.schema, conf)
end

function _M.header_filter()
    core.response.clear_header_as_body_modified()
end

function _M.body_filter(conf, ctx)
    local body = core.response.hold_body_chunk(ctx)
    if body then
        if conf.fails then
            error("broken on purpose")
        end
        ngx.arg[1] = "<" .. body
    end
end

function _M.delayed_body_filter()
    if ngx.arg[2] then
        ngx.arg[1] = (ngx.arg[1] or "") .. ">"
    end
end

return _M
