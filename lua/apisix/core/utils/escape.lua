-- Owns the escaping of URIs and the validity of header fields. Part of apisix.core.utils.
local byte = string.byte
local char = string.char
local format = string.format
local gsub = string.gsub
local type = type

-- What nginx (1.21.1 and later) escapes in a URI that it sends: controls, DEL, bytes above, and these.
local URI_ESCAPES, is_unsafe = {}, {}
for b = 0, 255 do
    if b <= 32 or b >= 127 then
        is_unsafe[b] = true
    end
end
for _, b in ipairs({ byte([["#%<>?\^`{|}]], 1, -1) }) do
    is_unsafe[b] = true
end
for b = 0, 255 do
    if is_unsafe[b] then
        URI_ESCAPES[char(b)] = format("%%%02X", b)
    end
end

local COLON = byte(":")

local _M = {}

-- Percent-encodes a path for use in a request line, as nginx does (NGX_ESCAPE_URI).
function _M.uri_safe_encode(uri)
    for i = 1, #uri do
        if is_unsafe[byte(uri, i)] then
            return (gsub(uri, ".", URI_ESCAPES))
        end
    end
    return uri
end

local function has_control(text)
    for i = 1, #text do
        local b = byte(text, i)
        if b < 32 or b == 127 then
            return true
        end
    end
    return false
end

-- Percent-encodes control characters alone, so that a URI with its query can be put in a request line
-- without a way to inject lines.
function _M.escape_uri_control_chars(uri)
    if not has_control(uri) then
        return uri
    end
    return (gsub(uri, "[%z\1-\31\127]", URI_ESCAPES))
end

-- Whether every byte is visible ASCII other than the colon.
function _M.validate_header_field(field)
    for i = 1, #field do
        local b = byte(field, i)
        if b <= 32 or b >= 127 or b == COLON then
            return false
        end
    end
    return true
end

-- Whether value is free of control characters and of bytes above ASCII. What is no string is valid.
function _M.validate_header_value(value)
    if type(value) ~= "string" then
        return true
    end
    for i = 1, #value do
        local b = byte(value, i)
        if b < 32 or b >= 127 then
            return false
        end
    end
    return true
end

return _M
