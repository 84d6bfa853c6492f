-- Owns the labelling of requests by conditions and by weights: header fields for the upstream. Configuration, behaviour
-- and messages are those of APISIX 3.18's plugin of this name. Must never choose an upstream.
local core = require "apisix.core"
local expr = require "resty.expr.v1"
local proxy_rewrite = require "apisix.plugins.proxy-rewrite"
local roundrobin = require "resty.roundrobin"

local ipairs = ipairs
local pairs = pairs
local resolve_var = core.utils.resolve_var
local set_header = core.request.set_header
local setmetatable = setmetatable

local action_schema = {
    type = "object",
    properties = {
        set_headers = { type = "object", minProperties = 1 },
        weight = { type = "integer", minimum = 1, default = 1 },
    },
}

local rule_schema = {
    type = "object",
    properties = {
        match = { type = "array", items = { anyOf = { { type = "array" }, { type = "string" } } }, minItems = 1 },
        actions = { type = "array", items = action_schema, minItems = 1 },
    },
    required = { "actions" },
}

local schema = {
    type = "object",
    properties = { rules = { type = "array", items = rule_schema, minItems = 1 } },
    required = { "rules" },
}

local _M = { version = 0.1, priority = 967, name = "traffic-label", schema = schema }

local ALL = {} -- the conditions of a rule that has none

local function check_action(action)
    for name, value in pairs(action) do
        if name == "set_headers" then
            local ok, err = proxy_rewrite.check_schema({ headers = value })
            if not ok then
                return false, "failed to validate the 'set_headers' action: " .. err
            end
        elseif name ~= "weight" then
            return false, "not supported action: " .. name
        end
    end
    return true
end

local function check_rule(rule)
    local ok, err = expr.new(rule.match or ALL)
    if not ok then
        return false, "failed to validate the 'match' expression: " .. core.json.encode(rule.match) .. " err: " .. err
    end
    for _, action in ipairs(rule.actions) do
        ok, err = check_action(action)
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
    for _, rule in ipairs(conf.rules) do
        ok, err = check_rule(rule)
        if not ok then
            return false, err
        end
    end
    return true
end

-- The fields of an action: name, value, name, value, …
local function fields_of(action)
    local fields = {}
    for name, value in pairs(action.set_headers or {}) do
        core.table.insert_tail(fields, name, value)
    end
    return fields
end

local function new_rule(conf)
    local fields, weights = {}, {}
    for i, action in ipairs(conf.actions) do
        fields[i], weights[i] = fields_of(action), action.weight
    end
    return { condition = expr.new(conf.match or ALL), fields = fields, picker = roundrobin:new(weights) }
end

-- configuration -> what its rules come to, made at the first request
local made = setmetatable({}, { __mode = "k" })

local function rules_of(conf)
    local rules = made[conf]
    if not rules then
        rules = {}
        for i, rule in ipairs(conf.rules) do
            rules[i] = new_rule(rule)
        end
        made[conf] = rules
    end
    return rules
end

local function set_fields(fields, ctx)
    for i = 1, #fields, 2 do
        set_header(ctx, fields[i], (resolve_var(fields[i + 1], ctx.var)))
    end
end

-- The first rule that holds is the only one.
function _M.access(conf, ctx)
    local rules = rules_of(conf)
    for i = 1, #rules do
        local rule = rules[i]
        if rule.condition:eval(ctx.var) then
            return set_fields(rule.fields[rule.picker:find()], ctx)
        end
    end
end

return _M
