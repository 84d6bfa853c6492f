-- Owns the header fields that response-rewrite adds, sets and removes. Part of response-rewrite.
local core = require "apisix.core"

local add_header = core.response.add_header
local ipairs = ipairs
local match = string.match
local pairs = pairs
local resolve_var = core.utils.resolve_var
local set_header = core.response.set_header
local insert_tail = core.table.insert_tail
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
        if type(value) ~= "string" and type(value) ~= "number" then
            return false, "invalid type as header value"
        elseif name == "" then
            return false, "invalid field length in header"
        end
    end
    return true
end

-- {"Name: value", …} -> {name, value, …}; nil and the line that is none.
local function split(lines)
    local flat = {}
    for _, line in ipairs(lines or {}) do
        local name, value = match(line, "^([^:%s]+)%s*:%s*([^:]+)$")
        if not name then
            return nil, "not a header line: " .. line
        end
        insert_tail(flat, name, value)
    end
    return flat
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
        local added, err = split(actions.add)
        if added then
            plan = { add = added, set = flatten(actions.set), remove = actions.remove or {} }
        else
            core.log.error("failed to create header operation: ", err)
            plan = { add = {}, set = {}, remove = {} }
        end
        plans[conf] = plan
    end
    return plan
end

-- Change the response's header fields: first add, then set, last remove.
function _M.rewrite(conf, ctx)
    local plan = plan_of(conf)
    for i = 1, #plan.add, 2 do
        add_header(plan.add[i], (resolve_var(plan.add[i + 1], ctx.var)))
    end
    for i = 1, #plan.set, 2 do
        set_header(plan.set[i], (resolve_var(plan.set[i + 1], ctx.var)))
    end
    for i = 1, #plan.remove do
        set_header(plan.remove[i], nil)
    end
end

return _M
