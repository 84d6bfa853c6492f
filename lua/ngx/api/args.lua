-- Owns ngx.encode_args and ngx.decode_args: the checks of their arguments around the query string
-- codec. Argument errors are those of ngx_lua.
local querystring = require "ngx.api.querystring"

local error = error
local floor = math.floor
local select = select
local tonumber = tonumber
local tostring = tostring
local type = type

local function bad_argument(n, name, expected, value)
    error(("bad argument #%d to '%s' (%s expected, got %s)"):format(n, name, expected, type(value)), 3)
end

-- ngx.encode_args(table) -> string
local function encode_args(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 argument but seen " .. n, 2)
    end
    local args = ...
    if type(args) ~= "table" then
        bad_argument(1, "encode_args", "table", args)
    end
    return (querystring.encode(args, 2))
end

-- ngx.decode_args(str, max?) -> table, "truncated"?   max: default 100, 0 for no limit.
local function decode_args(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting 1 or 2 arguments but seen " .. n, 2)
    end
    local str, max = ...
    local kind = type(str)
    if kind ~= "string" and kind ~= "number" then
        bad_argument(1, "decode_args", "string", str)
    end
    if n == 1 then
        return querystring.decode(tostring(str), querystring.MAX_ARGS)
    end
    local limit = tonumber(max)
    if not limit then
        bad_argument(2, "decode_args", "number", max)
    end
    return querystring.decode(tostring(str), floor(limit))
end

return { encode_args = encode_args, decode_args = decode_args }
