-- Owns the plugin that the files of t/plugin test: it greets, and counts whom it has greeted.
local core = require("apisix.core")
local ngx = ngx

local schema = {
    type = "object",
    properties = { name = { type = "string", minLength = 1 }, refuse = { type = "boolean", default = false } },
    required = { "name" },
}

local _M = { version = 0.1, priority = 12, name = "greeter", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.access(conf, ctx)
    if conf.refuse then
        core.log.error("refused to greet ", conf.name)
        return 403, { error_msg = "no greeting" }
    end
    core.request.set_header(ctx, "X-Greeting", "Hello, " .. conf.name)
    core.response.set_header("X-Greeted", (ngx.shared.test:incr(conf.name, 1, 0)))
end

return _M
