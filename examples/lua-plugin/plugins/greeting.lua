local core = require("apisix.core")

local schema = {
    type = "object",
    properties = { name = { type = "string", default = "world" } },
}

local _M = { version = 0.1, priority = 1000, name = "greeting", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.access(conf, ctx)
    if core.request.header(ctx, "x-greet") then
        return 200, { message = "hello " .. conf.name }
    end
    core.request.set_header(ctx, "X-Greeted", conf.name)
end

return _M
