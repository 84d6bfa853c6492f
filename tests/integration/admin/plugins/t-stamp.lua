-- Stamps requests: X-Stamp is what its configuration says.
local core = require "apisix.core"

local schema = { type = "object", properties = { stamp = { type = "string" } }, required = { "stamp" } }

return {
    version = 0.1, priority = 100, name = "t-stamp", schema = schema,
    check_schema = function(conf)
        return core.schema.check(schema, conf)
    end,
    rewrite = function(conf, ctx)
        core.request.set_header(ctx, "X-Stamp", conf.stamp)
    end,
}
