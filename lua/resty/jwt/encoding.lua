-- Owns the base64url and JSON of tokens, and the errors that say why one is none.
local cjson = require "cjson.safe"

local decode_base64, encode_base64 = ngx.decode_base64, ngx.encode_base64
local error, gsub, rep, type = error, string.gsub, string.rep, type

local _M = {}

-- Raise {reason = text}: what resty.jwt's functions raise, and load_jwt gives as the token's reason.
function _M.fail(reason)
    error({ reason = reason }, 0)
end

-- value: bytes, or a table that becomes JSON (by `to_json`, or cjson).
function _M.encode(value, to_json)
    if type(value) == "table" then
        value = (to_json or cjson.encode)(value)
    end
    return (gsub(gsub(gsub(encode_base64(value), "+", "-"), "/", "_"), "=", ""))
end

-- The bytes, or nil.
function _M.decode(text)
    text = gsub(gsub(text, "-", "+"), "_", "/")
    return decode_base64(text .. rep("=", -#text % 4))
end

-- The table that a part of a token holds; raises "invalid <what>: <text>" if it holds none.
function _M.decode_table(text, what)
    local json = _M.decode(text)
    local found = json and cjson.decode(json)
    if type(found) ~= "table" then
        _M.fail("invalid " .. what .. ": " .. text)
    end
    return found
end

return _M
