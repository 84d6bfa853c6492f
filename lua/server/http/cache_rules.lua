-- Owns what an upstream's response says about its being kept: for how long, and for which requests. Source: nginx,
-- ngx_http_upstream_module ("proxy_cache_valid") and ngx_http_file_cache. Must never touch a request or a file.
local civil = require "ngx.api.civil"

local concat, sort = table.concat, table.sort
local find, gmatch, lower, match, sub = string.find, string.gmatch, string.lower, string.match, string.sub
local ipairs, tonumber = ipairs, tonumber

local _M = {}

-- The seconds that `name` has in a Cache-Control; nil: it is not there, false: it is wrong.
local function seconds_of(value, name)
    local at, stop = find(value, name .. "=", 1, true)
    if not at then
        return nil
    end
    local digits, behind = match(value, "^(%d+)(.?)", stop + 1)
    return digits and (behind == "" or behind == "," or behind == " ") and tonumber(digits) or false
end

local function by_accel(value, now)
    if sub(value, 1, 1) == "@" then
        return tonumber(match(value, "^@(%d+)$"))
    end
    local seconds = tonumber(match(value, "^(%d+)$"))
    return seconds and (seconds > 0 and now + seconds)
end

-- Until when Cache-Control lets the response be kept; nil: it does not say, false: it must not be.
local function by_control(value, now)
    if find(value, "no-cache", 1, true) or find(value, "no-store", 1, true) or find(value, "private", 1, true) then
        return false
    end
    local seconds = seconds_of(value, "s-maxage")
    if seconds == nil then
        seconds = seconds_of(value, "max-age")
    end
    return seconds and (seconds > 0 and now + seconds)
end

local function by_date(value, now)
    local time = civil.parse(value)
    return time and time > now and time
end

-- Until when a response may be given to others. headers: the upstream's (Headers); default: seconds, for those that do
-- not say. Returns a time, and for how many seconds more it may stand in for an error; nil: it is not to be kept.
function _M.freshness(headers, now, default)
    if headers:get("set-cookie") or headers:joined("vary") == "*" then
        return nil
    end
    local accel, expires = headers:get("x-accel-expires"), headers:get("expires")
    local control = headers:joined("cache-control")
    control = control and lower(control)
    local time = accel and by_accel(accel, now)
    if time == nil and control then
        time = by_control(control, now)
    end
    if time == nil and expires then
        time = by_date(expires, now) or false
    end
    if time == nil then
        time = default > 0 and now + default
    end
    return time or nil, control and seconds_of(control, "stale-if-error") or 0
end

-- The names that a Vary lists, lower-cased and sorted, or nil.
function _M.vary(headers)
    local value = headers:joined("vary")
    if not value then
        return nil
    end
    local names = {}
    for name in gmatch(lower(value), "[^%s,]+") do
        names[#names + 1] = name
    end
    sort(names)
    return names[1] and names or nil
end

-- What tells a request's variant of a response apart: a text of its values of the fields `names`.
function _M.variant(names, headers)
    local values = {}
    for i, name in ipairs(names) do
        local value = headers:joined(name) or ""
        values[i] = #value .. ":" .. value
    end
    return concat(names, ",") .. "\0" .. concat(values)
end

-- Does a value switch something on (nginx's proxy_cache_bypass and proxy_no_cache)?
function _M.is_set(value)
    return value ~= nil and value ~= "" and value ~= "0"
end

return _M
