-- Owns the module ngx.base64 of lua-resty-core: base64url (RFC 4648 section 5), without padding.
local codec = require "ngx.api.base64codec"

local type = type

local URL = codec.alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

local _M = {}

-- encode_base64url(str) -> string | nil, "must provide a string"
function _M.encode_base64url(str)
    if type(str) ~= "string" then
        return nil, "must provide a string"
    end
    return codec.encode(URL, str, false)
end

-- decode_base64url(str) -> string | nil, "must provide a string" | nil, "invalid input"
function _M.decode_base64url(str)
    if type(str) ~= "string" then
        return nil, "must provide a string"
    end
    local decoded = codec.decode(URL, str, false)
    if not decoded then
        return nil, "invalid input"
    end
    return decoded
end

return _M
