-- Owns faults made on purpose: answers that never come from the upstream, and delays. Configuration, behaviour and
-- messages are those of APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local expr = require "resty.expr.v1"

local ipairs = ipairs
local ngx = ngx
local pairs = pairs
local random = math.random
local resolve_var = core.utils.resolve_var
local setmetatable = setmetatable
local type = type

local percentage = { type = "integer", minimum = 0, maximum = 100 }
local vars = { type = "array", maxItems = 20, items = { type = "array" } }

local schema = {
    type = "object",
    properties = {
        abort = {
            type = "object",
            properties = {
                http_status = { type = "integer", minimum = 200 },
                body = { type = "string", minLength = 0 },
                headers = {
                    type = "object",
                    minProperties = 1,
                    patternProperties = { ["^[^:]+$"] = { oneOf = { { type = "string" }, { type = "number" } } } },
                },
                percentage = percentage,
                vars = vars,
            },
            required = { "http_status" },
        },
        delay = {
            type = "object",
            properties = { duration = { type = "number", minimum = 0 }, percentage = percentage, vars = vars },
            required = { "duration" },
        },
    },
    minProperties = 1,
}

local _M = { version = 0.1, priority = 11000, name = "fault-injection", schema = schema }

local function check_vars(fault)
    for _, rule in ipairs(fault and fault.vars or {}) do
        local _, err = expr.new(rule)
        if err then
            core.log.error("failed to create vars expression: ", err)
            return false, err
        end
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if ok then
        ok, err = check_vars(conf.abort)
    end
    if ok then
        ok, err = check_vars(conf.delay)
    end
    return ok, err
end

local expressions = setmetatable({}, { __mode = "k" }) -- rule -> its expression

-- One of several rules is enough.
local function matches(rules, ctx)
    for i = 1, #rules do
        local rule = rules[i]
        local expression = expressions[rule]
        if not expression then
            expression = expr.new(rule)
            expressions[rule] = expression
        end
        if expression:eval(ctx.var) then
            return true
        end
    end
    return false
end

local function is_due(fault, ctx)
    if not fault or fault.vars and not matches(fault.vars, ctx) then
        return false
    end
    return not fault.percentage or random(1, 100) <= fault.percentage
end

local function set_headers(headers, ctx)
    for name, value in pairs(headers) do
        ngx.header[name] = type(value) == "string" and resolve_var(value, ctx.var) or value
    end
end

function _M.rewrite(conf, ctx)
    local delay, abort = conf.delay, conf.abort
    if is_due(delay, ctx) then
        core.sleep(delay.duration)
    end
    if is_due(abort, ctx) then
        if abort.headers then
            set_headers(abort.headers, ctx)
        end
        return abort.http_status, resolve_var(abort.body, ctx.var)
    end
end

return _M
