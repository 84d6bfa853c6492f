-- Owns ngx.escape_uri, ngx.unescape_uri and ngx.quote_sql_str (ngx_lua README; the character sets
-- are those of ngx_escape_uri). Must never look at a request.
local ffi = require "ffi"
local scratch = require "ngx.api.scratch"

local byte = string.byte
local error = error
local ffi_string = ffi.string
local check_string = require("server.argcheck").check_string
local floor = math.floor
local gsub = string.gsub
local select = select
local take = scratch.take
local text = scratch.text
local type = type

local PERCENT, PLUS, SPACE = byte("%"), byte("+"), byte(" ")
local DEFAULT_TYPE = 2
local HEX = "0123456789ABCDEF"

-- Per type of escape_uri, the bytes that are escaped beside the control characters 0x00-0x1F; `high`
-- adds 0x7F-0xFF. The types are nginx's: URI, ARGS, URI_COMPONENT, HTML, REFRESH, MEMCACHED, MAIL_AUTH.
local SETS = {
    [0] = { also = ' #%?', high = true },
    [1] = { also = ' #%?+', high = true },
    [2] = { also = ' "#$%&+,/:;<=>?@[\\]^`{|}', high = true },
    [3] = { also = ' #"%\'', high = true },
    [4] = { also = ' "\'', high = true },
    [5] = { also = ' %', high = false },
    [6] = { also = ' %', high = false },
}

local function escape_set(spec)
    local set = ffi.new("uint8_t[256]")
    ffi.fill(set, 32, 1)
    for i = 1, #spec.also do
        set[byte(spec.also, i)] = 1
    end
    if spec.high then
        ffi.fill(set + 0x7f, 256 - 0x7f, 1)
    end
    return set
end

local escape_sets = {}
for kind = 0, #SETS do
    escape_sets[kind] = escape_set(SETS[kind])
end

local hex_digit = ffi.new("uint8_t[16]", { byte(HEX, 1, 16) })

-- The value of each hexadecimal digit, -1 for every other byte.
local hex_value = ffi.new("int8_t[256]")
ffi.fill(hex_value, 256, 0xff)
for i = 0, 15 do
    local digit = HEX:sub(i + 1, i + 1)
    hex_value[byte(digit)] = i
    hex_value[byte(digit:lower())] = i
end

local function count_escapes(src, len, set)
    local n = 0
    for i = 0, len - 1 do
        n = n + set[src[i]]
    end
    return n
end

local function escape(str, set)
    local len = #str
    local src = ffi.cast("const uint8_t *", str)
    local escapes = count_escapes(src, len, set)
    if escapes == 0 then
        return str
    end
    local dst = take(len + 2 * escapes)
    local at = 0
    for i = 0, len - 1 do
        local c = src[i]
        if set[c] == 0 then
            dst[at] = c
            at = at + 1
        else
            local low = c % 16
            dst[at] = PERCENT
            dst[at + 1] = hex_digit[(c - low) / 16]
            dst[at + 2] = hex_digit[low]
            at = at + 3
        end
    end
    return ffi_string(dst, at)
end

local function check_type(kind)
    if type(kind) ~= "number" then
        error('"type" is not a number', 3)
    end
    if kind < 0 or kind > #SETS then
        error('"type" ' .. kind .. " out of range", 3)
    end
    return floor(kind)
end

-- ngx.escape_uri(str, type?): type 0 escapes a whole URI, 2 (default) a component; 1 and 3-6 are
-- nginx's other character sets. Raises on a bad type.
local function escape_uri(str, kind)
    kind = kind == nil and DEFAULT_TYPE or check_type(kind)
    return escape(text(str), escape_sets[kind])
end

local function unescape(str)
    local len = #str
    local src = ffi.cast("const uint8_t *", str)
    local dst = take(len)
    local at, i = 0, 0
    while i < len do
        local c = src[i]
        i = i + 1
        if c == PLUS then
            c = SPACE
        elseif c == PERCENT and i + 1 < len then
            local high, low = hex_value[src[i]], hex_value[src[i + 1]]
            if high >= 0 and low >= 0 then
                c = high * 16 + low
                i = i + 2
            end
        end
        dst[at] = c
        at = at + 1
    end
    return ffi_string(dst, at)
end

-- ngx.unescape_uri(str): decodes %XX and "+"; leaves invalid sequences as they are.
local function unescape_uri(str)
    return unescape(text(str))
end

local SQL_ESCAPES = {
    ["\0"] = "\\0", ["\b"] = "\\b", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
    ["\26"] = "\\Z", ["\\"] = "\\\\", ["'"] = "\\'", ['"'] = '\\"',
}

-- ngx.quote_sql_str(str): a MySQL string literal. Raises unless given one string or number.
local function quote_sql_str(...)
    if select("#", ...) ~= 1 then
        error("expecting one argument", 2)
    end
    local str = check_string(1, 1, (...), 1)
    return "'" .. gsub(str, "[%z\b\n\r\t\26\\'\"]", SQL_ESCAPES) .. "'"
end

return { escape_uri = escape_uri, unescape_uri = unescape_uri, quote_sql_str = quote_sql_str }
