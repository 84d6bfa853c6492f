-- Owns the making of test plugins that record their phases in ctx.order.
local core = require "apisix.core"

-- What requests have run with, held weakly: a test looks at what is still there.
local _M = { seen = setmetatable({}, { __mode = "k" }) }

local schema = {
    type = "object",
    properties = {
        mark = { type = "string" },
        answer = { type = "object" },
        fails_in = { type = "string" },
        skips = { type = "string" },
        count = { type = "integer", default = 7, minimum = 0 },
    },
}

local function record(name, conf, ctx, phase)
    ctx.order = ctx.order or {}
    for _, used in pairs({ conf, ctx.plugins or conf, ctx.matched_route or conf }) do
        _M.seen[used] = true
    end
    core.table.insert(ctx.order, (conf.mark or name) .. "." .. phase)
    if conf.fails_in == phase then
        error("broken on purpose")
    end
end

local function answering(name, phase)
    return function(conf, ctx)
        record(name, conf, ctx, phase)
        if conf.skips then
            require("apisix.plugin").skip_plugin(ctx, conf.skips)
        end
        local answer = conf.answer
        if answer and answer.phase == phase then
            return answer.code, answer.body
        end
    end
end

local function watching(name, phase)
    return function(conf, ctx)
        record(name, conf, ctx, phase)
    end
end

function _M.new(name, priority)
    local plugin = { version = 0.1, priority = priority, name = name, schema = core.table.deepcopy(schema) }
    for _, phase in ipairs({ "rewrite", "access", "before_proxy" }) do
        plugin[phase] = answering(name, phase)
    end
    plugin.log = watching(name, "log")
    function plugin.header_filter(conf, ctx)
        record(name, conf, ctx, "header_filter")
        core.response.set_header("X-Order", table.concat(ctx.order, " "))
        core.response.set_header("X-Conf", ctx.conf_type .. " " .. ctx.conf_id .. " " .. ctx.conf_version)
        core.response.set_header("X-Count", conf.count)
    end
    function plugin.check_schema(conf)
        return core.schema.check(plugin.schema, conf)
    end
    function plugin.init()
        core.log.warn(name, " was started")
    end
    function plugin.destroy()
        core.log.warn(name, " was destroyed")
    end
    return plugin
end

return _M
