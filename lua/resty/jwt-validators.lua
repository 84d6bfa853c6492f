-- Owns the module resty.jwt-validators: what the claims of a token are held to (lua-resty-jwt).
-- A validator is function(value, claim, jwt_json): false, or an error whose text is the reason, when the claim does not
-- hold. Each opt_NAME lets an absent claim pass; NAME requires it.
local concat, format, match = table.concat, string.format, string.match
local error, ipairs, next, pairs, type = error, ipairs, next, pairs, type
local http_time = ngx.http_time

local _M = { _VERSION = "0.2.3" }

-- The time that claims are compared with, and how many seconds it may be off.
local clock, leeway = ngx.now, 0

local function expect(ok, ...)
    if not ok then
        error(format(...), 0)
    end
end

local function expect_type(value, kind, what)
    expect(type(value) == kind, "Cannot create validator for non-%s %s.", kind, what)
end

local function expect_list(list, kind, what)
    expect(list ~= nil, "Cannot create validator for nil %s.", what)
    expect_type(list, "table", what)
    expect(next(list) ~= nil, "Cannot create validator for empty table %s.", what)
    for _, each in ipairs(list) do
        expect(type(each) == kind, "Cannot create validator for non-%s table %s.", kind, what)
    end
end

-- chain(f, …): a validator that applies one after another until one fails.
function _M.chain(...)
    local all = { ... }
    for _, each in ipairs(all) do
        expect_type(each, "function", "chain_function")
    end
    return function(value, claim, json)
        for _, each in ipairs(all) do
            if each(value, claim, json) == false then
                return false
            end
        end
        return true
    end
end

local function is_there(value, claim)
    expect(value ~= nil, "'%s' claim is required.", claim)
    return true
end

-- required(f): the claim must be there, and f (or nil) hold.
function _M.required(f)
    if f ~= nil then
        return _M.chain(is_there, f)
    end
    return is_there
end

-- For the claim "__jwt": one of these claims must be there.
function _M.require_one_of(names)
    expect_list(names, "string", "claim_keys")
    return function(value, claim)
        expect(type(value) == "table", "'%s' is malformed.  Expected to be a %s.", claim, "table")
        expect(type(value.payload) == "table", "'%s' is malformed.  Expected to be a %s.", claim .. ".payload", "table")
        for _, name in ipairs(names) do
            if value.payload[name] ~= nil then
                return true
            end
        end
        expect(false, "Missing one of claims - [ %s ].", concat(names, ", "))
    end
end

local function define(name, make)
    _M["opt_" .. name] = make
    _M[name] = function(...)
        return _M.chain(is_there, make(...))
    end
end

-- check(wanted, f, name, kind): f(value, wanted) must hold; the claim must be of that kind, by default wanted's.
define("check", function(wanted, f, name, kind)
    expect(wanted ~= nil, "Cannot create validator for nil %s.", name or "check_val")
    expect(f ~= nil, "Cannot create validator for nil %s.", "check_function")
    expect_type(f, "function", "check_function")
    kind = kind or type(wanted)
    return function(value, claim)
        if value == nil then
            return true
        end
        expect(type(value) == kind, "'%s' is malformed.  Expected to be a %s.", claim, kind)
        return f(value, wanted)
    end
end)

-- any_of(list, f, name, kind, list_kind): f(value, one of the list) must hold.
define("any_of", function(list, f, name, kind, list_kind)
    name = name or "check_values"
    list_kind = list_kind or type(type(list) == "table" and list[1] or nil)
    expect_list(list, list_kind, name)
    expect(f ~= nil, "Cannot create validator for nil %s.", "check_function")
    expect_type(f, "function", "check_function")
    return _M.opt_check(list, function(value)
        for _, each in ipairs(list) do
            if f(value, each) then
                return true
            end
        end
        return false
    end, name, kind or list_kind)
end)

local function equal(a, b)
    return a == b
end

local function matching(value, pattern)
    return match(value, pattern) ~= nil
end

local function containing(values, wanted)
    for _, each in pairs(values) do
        if each == wanted then
            return true
        end
    end
    return false
end

define("equals", function(wanted)
    return _M.opt_check(wanted, equal, "check_val")
end)

-- Lua patterns
define("matches", function(pattern)
    expect_type(pattern, "string", "pattern")
    return _M.opt_check(pattern, matching, "pattern", "string")
end)

define("equals_any_of", function(list)
    return _M.opt_any_of(list, equal, "check_values")
end)

define("matches_any_of", function(patterns)
    return _M.opt_any_of(patterns, matching, "patterns", "string", "string")
end)

-- The claim is a list.
define("contains_any_of", function(list, name)
    return _M.opt_any_of(list, containing, name, "table", "string")
end)

local comparisons = {
    greater_than = function(a, b) return a > b end,
    greater_than_or_equal = function(a, b) return a >= b end,
    less_than = function(a, b) return a < b end,
    less_than_or_equal = function(a, b) return a <= b end,
}
for name, compare in pairs(comparisons) do
    define(name, function(wanted)
        expect_type(wanted, "number", "check_val")
        return _M.opt_check(wanted, compare, "check_val", "number")
    end)
end

-- How many seconds the times in tokens may be off (0).
function _M.set_system_leeway(seconds)
    expect(type(seconds) == "number" and seconds >= 0, "leeway must be a non-negative number")
    leeway = seconds
end

-- The function that tells the time (ngx.now).
function _M.set_system_clock(f)
    expect(type(f) == "function", "clock must be a function")
    local now = f()
    expect(type(now) == "number" and now >= 0, "clock function must return a non-negative number")
    clock = f
end

-- A validator of a time: holds(time, now), else the reason is "'exp' claim <verb> <date>".
local function of_time(verb, holds)
    return function()
        return function(value, claim)
            if value == nil then
                return true
            end
            expect(type(value) == "number" and value >= 0, "'%s' is malformed.  Expected to be a %s.", claim,
                "positive numeric value")
            expect(holds(value, clock()), "'%s' claim %s %s", claim, verb, http_time(value))
            return true
        end
    end
end

define("is_not_before", of_time("not valid until", function(time, now)
    return time <= now + leeway
end))

define("is_not_expired", of_time("expired at", function(time, now)
    return time > now - leeway
end))

define("is_at", of_time("is only valid at", function(time, now)
    return time >= now - leeway and time <= now + leeway
end))

return _M
