-- Owns ngx.encode_args and ngx.decode_args: the checks of their arguments around the query string
-- codec. Argument errors are those of ngx_lua.
local argcheck = require "server.argcheck"
local querystring = require "ngx.api.querystring"

local error = error
local check_integer, check_string, check_table = argcheck.check_integer, argcheck.check_string, argcheck.check_table
local select = select

-- ngx.encode_args(table) -> string
local function encode_args(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 argument but seen " .. n, 2)
    end
    local args = ...
    check_table(1, 1, args)
    return (querystring.encode(args, 2))
end

-- ngx.decode_args(str, max?) -> table, "truncated"?   max: default 100, 0 for no limit.
local function decode_args(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting 1 or 2 arguments but seen " .. n, 2)
    end
    local str, max = ...
    str = check_string(1, 1, str)
    max = n == 1 and querystring.MAX_ARGS or check_integer(1, 2, max)
    return querystring.decode(str, max)
end

return { encode_args = encode_args, decode_args = decode_args }
