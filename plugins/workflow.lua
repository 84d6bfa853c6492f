-- Owns actions under conditions: the first rule whose case holds acts, by a status or by another plugin.
-- Configuration, behaviour and messages are those of APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local expr = require "resty.expr.v1"
local plugin = require "apisix.plugin"

local ipairs = ipairs
local setmetatable = setmetatable
local tostring = tostring

local NAME = "workflow"

local schema = {
    type = "object",
    properties = {
        rules = {
            type = "array",
            items = {
                type = "object",
                properties = {
                    case = {
                        type = "array",
                        items = { anyOf = { { type = "array" }, { type = "string" } } },
                        minItems = 1,
                    },
                    actions = { type = "array", items = { type = "array", minItems = 1 } },
                },
                required = { "actions" },
            },
        },
    },
    required = { "rules" },
}

local return_schema = {
    type = "object",
    properties = { code = { type = "integer", minimum = 100, maximum = 599 } },
    required = { "code" },
}

local _M = { version = 0.1, priority = 1006, name = NAME, schema = schema }

-- name -> {check_schema, handler, log_handler}
local actions = {
    ["return"] = {
        check_schema = function(conf)
            return core.schema.check(return_schema, conf)
        end,
        handler = function(conf)
            return conf.code, { error_msg = "rejected by workflow" }
        end,
    },
}

-- rule -> its case, compiled
local cases = setmetatable({}, { __mode = "k" })

-- Let a plugin be an action. check_schema(conf, "workflow") -> true, or false, err; access_handler(conf, ctx) -> code,
-- body, or nothing; log_handler(conf, ctx), optional, runs in the log phase of the requests that it acted on.
function _M.register(plugin_name, check_schema, access_handler, log_handler)
    actions[plugin_name] = { check_schema = check_schema, handler = access_handler, log_handler = log_handler }
end

-- place: of the rule. It tells the counters of its actions from those of others.
local function check_action(action, place)
    local name, conf = action[1], action[2]
    local known = actions[name]
    if not known then
        return false, "unsupported action: " .. tostring(name)
    end
    conf = conf or {}
    action[2] = conf
    conf._vid = place
    local ok, err = known.check_schema(conf, NAME)
    if not ok then
        return false, "failed to validate the '" .. name .. "' action: " .. err
    end
    return true
end

local function check_rule(rule, place)
    if rule.case then
        local case, err = expr.new(rule.case)
        if not case then
            return false, "failed to validate the 'case' expression: " .. err
        end
    end
    for _, action in ipairs(rule.actions) do
        local ok, err = check_action(action, place)
        if not ok then
            return false, err
        end
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    for place, rule in ipairs(conf.rules) do
        ok, err = check_rule(rule, place)
        if not ok then
            return false, err
        end
    end
    return true
end

local function holds(rule, ctx)
    if not rule.case then
        return true
    end
    local case = cases[rule]
    if not case then
        case = expr.new(rule.case)
        cases[rule] = case
    end
    return case:eval(ctx.var)
end

function _M.access(conf, ctx)
    for _, rule in ipairs(conf.rules) do
        if holds(rule, ctx) then
            local action = rule.actions[1] -- others are not supported yet
            if not action then
                return
            end
            local name, action_conf = action[1], action[2]
            plugin.skip_plugin(ctx, name) -- else it would count twice
            action_conf._meta = conf._meta
            ctx.workflow_action = action
            return actions[name].handler(action_conf, ctx)
        end
    end
end

function _M.log(_, ctx)
    local action = ctx.workflow_action
    if action and actions[action[1]].log_handler then
        return actions[action[1]].log_handler(action[2], ctx)
    end
end

return _M
