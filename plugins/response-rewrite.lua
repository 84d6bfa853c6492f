-- Owns the rewriting of the response: status, header fields, body. Configuration, behaviour and messages are those
-- of APISIX 3.18's plugin of this name. Must never touch the request.
local body = require "apisix.plugins.response-rewrite.body"
local core = require "apisix.core"
local expr = require "resty.expr.v1"
local headers = require "apisix.plugins.response-rewrite.headers"
local schema = require "apisix.plugins.response-rewrite.schema"

local ngx = ngx
local setmetatable = setmetatable

local _M = { version = 0.1, priority = 899, name = "response-rewrite", schema = schema }

local function check_vars(vars)
    local ok, err = expr.new(vars)
    if not ok then
        return false, "failed to validate the 'vars' expression: " .. err
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if ok and conf.headers then
        ok, err = headers.check(conf.headers)
    end
    if ok then
        ok, err = body.check(conf)
    end
    if ok and conf.vars then
        ok, err = check_vars(conf.vars)
    end
    return ok, err
end

-- conf.vars -> compiled
local conditions = setmetatable({}, { __mode = "k" })

local function passes(vars, ctx)
    if not vars then
        return true
    end
    local condition = conditions[vars]
    if not condition then
        condition = expr.new(vars)
        conditions[vars] = condition
    end
    return condition:eval(ctx.var)
end

-- A route and a global rule may both have the plugin: each has its own state in a request.
function _M.header_filter(conf, ctx)
    if not passes(conf.vars, ctx) then
        return
    end
    if conf.status_code then
        ngx.status = conf.status_code
    end
    local states = ctx.response_rewrite or {}
    ctx.response_rewrite = states
    states[conf] = body.prepare(conf)
    if conf.headers then
        headers.rewrite(conf.headers, ctx)
    end
end

function _M.body_filter(conf, ctx)
    local state = ctx.response_rewrite and ctx.response_rewrite[conf]
    if state then
        body.rewrite(conf, ctx, state)
    end
end

return _M
