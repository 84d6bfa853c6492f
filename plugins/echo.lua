-- Owns answers with a body of the configuration's: put before the upstream's, in its place, or after it. Configuration
-- and behaviour are those of APISIX 3.18's plugin of this name. Must never write into the configuration.
local core = require "apisix.core"

local ngx = ngx
local pairs = pairs
local type = type

local schema = {
    type = "object",
    properties = {
        before_body = { type = "string" },
        body = { type = "string" },
        after_body = { type = "string" },
        headers = { type = "object", minProperties = 1 },
    },
    minProperties = 1,
    anyOf = {
        { required = { "before_body" } },
        { required = { "body" } },
        { required = { "after_body" } },
    },
}

local _M = { version = 0.1, priority = 412, name = "echo", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

-- The schema lets any value through. One that no header can have, an empty name too, and none of them is set.
local function are_valid(headers)
    for name, value in pairs(headers) do
        local kind = type(value)
        if name == "" or (kind ~= "string" and kind ~= "number") then
            return false
        end
    end
    return true
end

function _M.header_filter(conf)
    core.response.clear_header_as_body_modified()
    local headers = conf.headers
    if headers and are_valid(headers) then
        for name, value in pairs(headers) do
            ngx.header[name] = value
        end
    end
end

function _M.body_filter(conf, ctx)
    local arg = ngx.arg
    if conf.body then -- the first chunk is the last then: what the upstream sends after it is not for the client
        arg[1] = conf.body
        arg[2] = true
    end
    if conf.before_body and not ctx.plugin_echo_body_set then
        arg[1] = conf.before_body .. arg[1]
        ctx.plugin_echo_body_set = true
    end
    if conf.after_body and arg[2] then
        arg[1] = arg[1] .. conf.after_body
    end
end

return _M
