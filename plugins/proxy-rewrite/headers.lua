-- Owns the header fields that proxy-rewrite adds, sets and removes. Part of proxy-rewrite.
local core = require "apisix.core"

local add_header = core.request.add_header
local resolve_captures = core.utils.resolve_var_with_captures
local resolve_var = core.utils.resolve_var
local set_header = core.request.set_header
local insert_tail = core.table.insert_tail
local pairs = pairs
local setmetatable = setmetatable
local type = type

local _M = {}

-- The other form is one table of fields to set, in which "add" may be a field's name.
local function has_actions(conf)
    return type(conf.add) == "table" or type(conf.set) == "table" or type(conf.remove) == "table"
end

-- Is anything wrong with conf beyond what the schema sees? Returns true, or false and the reason.
function _M.check(conf)
    if has_actions(conf) then
        return true
    end
    for name, value in pairs(conf) do
        if name == "" then
            return false, "invalid field length in header"
        elseif not core.utils.validate_header_field(name) then
            return false, "invalid field character in header"
        elseif not core.utils.validate_header_value(value) then
            return false, "invalid value character in header"
        end
    end
    return true
end

local function flatten(fields)
    local flat = {}
    for name, value in pairs(fields or {}) do
        insert_tail(flat, name, value)
    end
    return flat
end

-- conf -> {add, set: {name, value, …}, remove: {name, …}}, so that no request walks through maps
local plans = setmetatable({}, { __mode = "k" })

local function plan_of(conf)
    local plan = plans[conf]
    if not plan then
        local actions = has_actions(conf) and conf or { set = conf }
        plan = { add = flatten(actions.add), set = flatten(actions.set), remove = actions.remove or {} }
        plans[conf] = plan
    end
    return plan
end

-- "$1" are the captures of regex_uri, "$name" variables.
local function resolve(value, ctx)
    return (resolve_var(resolve_captures(value, ctx.proxy_rewrite_regex_uri_captures), ctx.var))
end

local function resolve_all(values, ctx)
    local resolved = {}
    for i = 1, #values do
        resolved[i] = resolve(values[i], ctx)
    end
    return resolved
end

local function add(name, value, ctx)
    if type(value) ~= "table" then
        return add_header(ctx, name, resolve(value, ctx))
    end
    for i = 1, #value do
        add_header(ctx, name, resolve(value[i], ctx))
    end
end

local function set(name, value, ctx)
    if type(value) == "table" then
        return set_header(ctx, name, resolve_all(value, ctx))
    end
    return set_header(ctx, name, resolve(value, ctx))
end

-- Change the request's header fields: first add, then set, last remove.
function _M.rewrite(conf, ctx)
    local plan = plan_of(conf)
    for i = 1, #plan.add, 2 do
        add(plan.add[i], plan.add[i + 1], ctx)
    end
    for i = 1, #plan.set, 2 do
        set(plan.set[i], plan.set[i + 1], ctx)
    end
    for i = 1, #plan.remove do
        set_header(ctx, plan.remove[i], nil)
    end
end

return _M
