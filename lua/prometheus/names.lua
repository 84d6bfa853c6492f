-- Owns the text form of names: which metric and label names are allowed, how label values are written.
-- Part of the module prometheus.
local byte, find, format, sub = string.byte, string.find, string.format, string.sub
local gsub, match = string.gsub, string.match
local concat = table.concat
local ipairs = ipairs
local tostring = tostring
local type = type

local RESERVED = "__ngx_prom__"

local _M = { RESERVED = RESERVED }

-- What is wrong with a metric's name or its labels' names; nil when nothing is.
function _M.fault(name, label_names)
    if not match(name, "^[%a_:][%w_:]*$") then
        return "Metric name '" .. name .. "' is invalid"
    elseif find(name, RESERVED, 1, true) == 1 then
        return "Prefix '" .. RESERVED .. "' is reserved for internal purposes"
    end
    for _, label in ipairs(label_names or {}) do
        if label == "le" then
            return "Invalid label name 'le' in " .. name
        elseif not match(label, "^[%a_][%w_]*$") then
            return "Metric '" .. name .. "' label name '" .. label .. "' is invalid"
        end
    end
    return nil
end

-- How many bytes follow a first byte of UTF-8, and the range of the one after it (RFC 3629); nil: it is none.
local function follow(first)
    if first < 0xC2 or first > 0xF4 then
        return nil
    elseif first < 0xE0 then
        return 1, 0x80, 0xBF
    elseif first < 0xF0 then
        return 2, first == 0xE0 and 0xA0 or 0x80, first == 0xED and 0x9F or 0xBF
    end
    return 3, first == 0xF0 and 0x90 or 0x80, first == 0xF4 and 0x8F or 0xBF
end

local function is_character(text, at, count, low, high)
    for i = at + 1, at + count do
        local code = byte(text, i)
        if not code or code < low or code > high then
            return false
        end
        low, high = 0x80, 0xBF
    end
    return true
end

-- The text up to the first byte that is no UTF-8.
local function valid_part(text)
    local at = find(text, "[\128-\255]")
    while at do
        local count, low, high = follow(byte(text, at))
        if not count or not is_character(text, at, count, low, high) then
            return sub(text, 1, at - 1)
        end
        at = find(text, "[\128-\255]", at + count + 1)
    end
    return text
end

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function escaped(value)
    if type(value) ~= "string" then
        return tostring(value)
    end
    return (gsub(valid_part(value), '[\\"\n]', ESCAPES))
end

-- '{a="1",b="2"}', or "" without labels.
function _M.labels(label_names, values)
    local count = label_names and #label_names or 0
    if count == 0 then
        return ""
    end
    local parts = {}
    for i = 1, count do
        parts[i] = format('%s="%s"', label_names[i], escaped(values[i]))
    end
    return "{" .. concat(parts, ",") .. "}"
end

-- "<a,b>", for messages.
function _M.shown(values)
    if values == nil then
        return "nil"
    end
    local parts = {}
    for i = 1, #values do
        parts[i] = tostring(values[i])
    end
    return "<" .. concat(parts, ",") .. ">"
end

return _M
