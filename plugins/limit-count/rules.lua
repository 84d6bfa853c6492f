-- Owns which limits apply to a request: numbers and keys, with their variables resolved. Part of limit-count.
local core = require "apisix.core"

local floor = math.floor
local ipairs = ipairs
local resolve_var = core.utils.resolve_var
local tonumber = tonumber
local tostring = tostring
local type = type

local MAX_EXACT = 2 ^ 53 - 1 -- integers above are not told apart

local _M = {}

-- value: a number, or a text whose variables make one. Returns a positive integer, or nil, err.
local function resolve_number(value, ctx)
    if type(value) ~= "string" then
        return value
    end
    local number = tonumber((resolve_var(value, ctx.var)))
    if not number then
        return nil, "resolved value is not a number"
    elseif number <= 0 then
        return nil, "resolved value must be a positive number, got: " .. tostring(number)
    elseif number ~= floor(number) then
        return nil, "resolved value must be an integer, got: " .. tostring(number)
    elseif number > MAX_EXACT then
        return nil, "resolved value exceeds safe integer range (2^53-1), got: " .. tostring(number)
    end
    return number
end

-- Returns {count, time_window}, or nil, err.
local function resolve_limit(source, ctx)
    local count, err = resolve_number(source.count, ctx)
    if not count then
        return nil, err
    end
    local time_window
    time_window, err = resolve_number(source.time_window, ctx)
    if not time_window then
        return nil, err
    end
    return { count = count, time_window = time_window }
end

-- The text that requests are counted by; nil when the request has nothing of it.
local function resolve_key(conf, ctx)
    if conf.key_type == "constant" then
        return conf.key
    elseif conf.key_type == "var_combination" then
        local key, _, resolved = resolve_var(conf.key, ctx.var)
        return resolved > 0 and key or nil
    end
    return ctx.var[conf.key]
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

-- The limits of a request: an array of {key, count, time_window (seconds), header_prefix}. A rule whose key has no
-- variable that the request has does not apply. Returns nil, err where a number makes no sense: no client must be
-- able to switch a limit off by what it sends.
function _M.of(conf, ctx)
    if not conf.rules then
        return only_rule(conf, ctx)
    end
    local applying = {}
    for i, rule in ipairs(conf.rules) do
        local key, _, resolved = resolve_var(rule.key, ctx.var)
        if resolved > 0 then
            local limit, err = resolve_limit(rule, ctx)
            if not limit then
                return nil, err
            end
            limit.key, limit.header_prefix = key, tostring(rule.header_prefix or i)
            applying[#applying + 1] = limit
        end
    end
    return applying
end

return _M
