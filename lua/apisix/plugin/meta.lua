-- Owns what "_meta" asks for at run time: the filter expression and the pre_function. (disable and
-- priority are seen to in plans, error_response in the runner.)
local core = require "apisix.core"
local expr = require "resty.expr.v1"

local loadstring = loadstring
local pcall = pcall
local setmetatable = setmetatable

local _M = {}

-- What was compiled, by the table or the source it was compiled from: {result, err}.
local compiled = setmetatable({}, { __mode = "k" })
local functions = core.lrucache.new({ ttl = 300, count = 512 })

local function compile(filter)
    local known = compiled[filter]
    if not known then
        known = {}
        known.expr, known.err = expr.new(filter)
        compiled[filter] = known
    end
    return known.expr, known.err
end

local function load_function(source)
    return loadstring(source, "meta pre_function")
end

-- Is there anything wrong with conf._meta? Returns true, or nil and the reason.
function _M.check(name, meta)
    if meta.filter then
        local ok, err = expr.new(meta.filter)
        if not ok then
            return nil, "failed to validate the 'vars' expression: " .. err
        end
    end
    if meta.pre_function then
        local ok, err = functions(meta.pre_function, "", load_function, meta.pre_function)
        if not ok then
            return nil, "failed to load _meta.pre_function in plugin " .. name .. ": " .. err
        end
    end
    return true
end

local function eval(ctx, name, filter)
    local ex, err = compile(filter)
    if not ex then
        core.log.warn("failed to get the 'vars' expression: ", err, " plugin_name: ", name)
        return true
    end
    local ok, eval_err = ex:eval(ctx.var)
    if eval_err then
        core.log.warn("failed to run the 'vars' expression: ", eval_err, " plugin_name: ", name)
        return true
    end
    return ok, true
end

-- Does the request pass the filter? Asked once per request and configuration; an expression that fails
-- counts as passed.
function _M.passes(ctx, name, filter)
    local key = ctx.conf_type .. "#" .. ctx.conf_id .. "#" .. ctx.conf_version .. "#" .. name
        .. "#meta_filter_matched"
    local known = ctx[key]
    if known ~= nil then
        return known
    end
    local ok, sure = eval(ctx, name, filter)
    if sure then
        ctx[key] = ok
    end
    return ok
end

-- The source is run each time: what it returns is called with (conf, ctx). Failures are only logged.
function _M.run_pre_function(source, conf, ctx, name)
    local chunk = functions(source, "", load_function, source)
    local ok, result = pcall(chunk)
    if ok then
        ok, result = pcall(result, conf, ctx)
    end
    if not ok then
        core.log.error("pre_function execution for plugin ", name, " failed: ", result)
    end
end

return _M
