-- Owns ngx.encode_base64, ngx.decode_base64 and ngx.decode_base64mime: the checks of their
-- arguments around the codec.
local codec = require "ngx.api.base64codec"
local scratch = require "ngx.api.scratch"

local decode = codec.decode
local encode = codec.encode
local error = error
local text = scratch.text
local type = type

local STANDARD = codec.alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

-- ngx.encode_base64(str, no_padding?): raises if no_padding is neither a boolean nor nil.
local function encode_base64(str, no_padding)
    if no_padding and no_padding ~= true then
        error("bad no_padding: boolean expected, got " .. type(no_padding), 2)
    end
    return encode(STANDARD, text(str), not no_padding)
end

-- ngx.decode_base64(str) -> string, or nil if malformed. Raises unless given a string.
local function decode_base64(str)
    if type(str) ~= "string" then
        error("string argument only", 2)
    end
    return decode(STANDARD, str, false)
end

-- ngx.decode_base64mime(str): the same, skipping what is not in the alphabet (RFC 2045).
local function decode_base64mime(str)
    if type(str) ~= "string" then
        error("string argument only", 2)
    end
    return decode(STANDARD, str, true)
end

return {
    encode_base64 = encode_base64,
    decode_base64 = decode_base64,
    decode_base64mime = decode_base64mime,
}
