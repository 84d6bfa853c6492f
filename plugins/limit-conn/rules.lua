-- Owns which limits apply to a request, and the numbers and keys that variables make. Part of limit-conn.
local core = require "apisix.core"

local floor = math.floor
local ipairs = ipairs
local resolve_var = core.utils.resolve_var
local tonumber = tonumber
local tostring = tostring
local type = type

local MAX_EXACT = 9007199254740991

local _M = {}

-- A number of the configuration; lowest: 1, or 0. Returns it, or nil, err.
local function resolve_number(value, lowest, ctx)
    if type(value) ~= "string" then
        return value
    end
    local text, err = resolve_var(value, ctx.var)
    if err then
        return nil, "could not resolve var for value: " .. value .. ", err: " .. err
    end
    local number = tonumber(text)
    if not number then
        return nil, "resolved value is not a number: " .. tostring(text)
    elseif lowest == 0 and number < 0 then
        return nil, "resolved value must be a non-negative number, got: " .. tostring(number)
    elseif lowest > 0 and number <= 0 then
        return nil, "resolved value must be a positive number, got: " .. tostring(number)
    elseif number ~= floor(number) then
        return nil, "resolved value must be an integer, got: " .. tostring(number)
    elseif number > MAX_EXACT then
        return nil, "resolved value exceeds safe integer range (2^53-1), got: " .. tostring(number)
    end
    return number
end

-- Returns {source, conn, burst}, or nil, err.
local function resolve_limit(source, ctx)
    local conn, err = resolve_number(source.conn, 1, ctx)
    if not conn then
        return nil, err
    end
    local burst
    burst, err = resolve_number(source.burst, 0, ctx)
    if not burst then
        return nil, err
    end
    return { source = source, conn = conn, burst = burst }
end

local function resolve_key(conf, ctx)
    if conf.key_type ~= "var_combination" then
        return ctx.var[conf.key]
    end
    local key, err, resolved = resolve_var(conf.key, ctx.var)
    if err then
        core.log.error("could not resolve vars in ", conf.key, " error: ", err)
    end
    return resolved ~= 0 and key or nil
end

local function only_rule(conf, ctx)
    local rule, err = resolve_limit(conf, ctx)
    if not rule then
        return nil, err
    end
    rule.key = resolve_key(conf, ctx)
    if rule.key == nil then
        core.log.info("The value of the configured key is empty, use client IP instead")
        rule.key = ctx.var.remote_addr
    end
    return { rule }
end

-- The limits of a request: an array of {source (where it stands in conf), conn, burst, key}. A rule whose key has no
-- variable that the request has, or whose numbers are none, does not apply. Returns nil, err where the only one fails.
function _M.of(conf, ctx)
    if not conf.rules then
        return only_rule(conf, ctx)
    end
    local applying = {}
    for _, source in ipairs(conf.rules) do
        local rule = resolve_limit(source, ctx)
        local key, _, resolved = resolve_var(source.key, ctx.var)
        if rule and resolved ~= 0 then
            rule.key = key
            applying[#applying + 1] = rule
        end
    end
    return applying
end

return _M
