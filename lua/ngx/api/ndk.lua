-- Owns ndk.set_var: the functions of one argument that the modules around ngx_lua give to nginx's configuration.
-- Sources: the ngx_lua documentation, "ndk.set_var.DIRECTIVE"; set-misc-nginx-module.
local base64 = require "ngx.api.base64"
local crypto = require "ngx.api.libcrypto"
local digest = require "ngx.api.digest"
local ffi = require "ffi"
local hexcodec = require "ngx.api.hexcodec"
local strings = require "ngx.api.string"
local time = require "ngx.api.time"

local error, setmetatable, tonumber, tostring = error, setmetatable, tonumber, tostring
local byte, char, find, format = string.byte, string.char, string.find, string.format
local gsub, sub = string.gsub, string.sub
local band, lshift, rshift = bit.band, bit.lshift, bit.rshift
local concat = table.concat

local FAILED = nil -- what a directive returns for an argument that it cannot take

local BASE32 = "0123456789abcdefghijklmnopqrstuv"
local ALPHANUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
local LCALPHA = "abcdefghijklmnopqrstuvwxyz"
local RANDOM_MAX = 64

local JSON_ESCAPES = {
    ["\r"] = "\\r", ["\n"] = "\\n", ["\\"] = "\\\\", ['"'] = '\\"', ["\f"] = "\\f", ["\b"] = "\\b", ["\t"] = "\\t",
}

local function json_escape(c)
    return JSON_ESCAPES[c] or format("\\u%04x", byte(c))
end

-- Regroup the `from`-bit values of str's characters (by value(c)) into `to`-bit ones, given to put(value).
-- Returns the bits that are left and how many there are.
local function regroup(str, from, to, value, put)
    local held, bits = 0, 0
    for i = 1, #str do
        local v = value(byte(str, i))
        if not v then
            return nil
        end
        held, bits = lshift(held, from) + v, bits + from
        while bits >= to do
            bits = bits - to
            put(rshift(held, bits))
            held = band(held, lshift(1, bits) - 1)
        end
    end
    return held, bits
end

local function same(v)
    return v
end

local function encode_base32(str)
    local out = {}
    local function put(v)
        out[#out + 1] = sub(BASE32, v + 1, v + 1)
    end
    local held, bits = regroup(str, 8, 5, same, put)
    if bits > 0 then
        put(lshift(held, 5 - bits))
    end
    return concat(out)
end

local function decode_base32(str)
    local out = {}
    local held = regroup(gsub(str, "=+$", ""), 5, 8, function(c)
        local at = find(BASE32, char(c), 1, true)
        return at and at - 1
    end, function(v)
        out[#out + 1] = char(v)
    end)
    return held and concat(out) or FAILED
end

local function decode_hex(str)
    if #str % 2 == 1 or find(str, "%X") then
        return FAILED
    end
    return (gsub(str, "%x%x", function(digits)
        return char(tonumber(digits, 16))
    end))
end

local function random_of(alphabet)
    return function(text)
        local count = find(text, "^%d+$") and tonumber(text)
        if not count or count < 1 or count > RANDOM_MAX then
            return FAILED
        end
        local bytes, out = ffi.new("uint8_t[?]", RANDOM_MAX), {}
        crypto.rand_bytes(bytes, count)
        for i = 1, count do
            local at = bytes[i - 1] % #alphabet + 1
            out[i] = sub(alphabet, at, at)
        end
        return concat(out)
    end
end

local DIRECTIVES = {
    set_escape_uri = strings.escape_uri,
    set_unescape_uri = strings.unescape_uri,
    set_quote_sql_str = strings.quote_sql_str,
    set_quote_pgsql_str = function(str)
        return str == "" and "''" or "E" .. strings.quote_sql_str(str)
    end,
    set_quote_json_str = function(str)
        return str == "" and "null" or '"' .. gsub(str, '[%c\\"]', json_escape) .. '"'
    end,
    set_encode_base64 = base64.encode_base64,
    set_decode_base64 = function(str)
        return base64.decode_base64(str) or FAILED
    end,
    set_encode_base32 = encode_base32,
    set_decode_base32 = decode_base32,
    set_encode_hex = hexcodec.encode,
    set_decode_hex = decode_hex,
    set_md5 = digest.md5,
    set_sha1 = function(str)
        return hexcodec.encode(digest.sha1_bin(str))
    end,
    set_local_today = function()
        return time.today()
    end,
    set_secure_random_alphanum = random_of(ALPHANUM),
    set_secure_random_lcalpha = random_of(LCALPHA),
}

local metatable = {}

-- set_var.NAME(argument) -> a string. Raises for a directive that is not known, and what it cannot take.
function metatable.__index(_, name)
    name = tostring(name)
    local directive = DIRECTIVES[name]
    if not directive then
        error('ndk.set_var: directive "' .. name .. '" not found or does not use ndk_set_var_value', 2)
    end
    return function(argument)
        local value = directive(tostring(argument))
        if value == FAILED then
            error("calling directive " .. name .. " failed with code -1", 2)
        end
        return value
    end
end

function metatable.__newindex()
    error("not allowed", 2)
end

ndk = { set_var = setmetatable({}, metatable) }

return {}
