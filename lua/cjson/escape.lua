-- Owns the quoting of strings for JSON. Must never judge whether bytes are UTF-8: they pass as they are.
local ffi = require "ffi"
local buffer = require "string.buffer"

local pairs = pairs
local cast = ffi.cast
local format = string.format

local bytes = ffi.typeof("const uint8_t *")
local SLASH = 47
local KEPT_KEY_LENGTH, KEPT_KEYS = 64, 2048

local SHORT = { [8] = "\\b", [9] = "\\t", [10] = "\\n", [12] = "\\f", [13] = "\\r", [34] = '\\"', [92] = "\\\\" }

-- A set of escapes: `needed` says by byte whether there is one, `texts` holds it, `keys` keeps quoted object keys.
local function new_set(with_slash)
    local set = { needed = ffi.new("uint8_t[256]"), texts = {}, keys = {}, key_count = 0 }
    for byte = 0, 31 do
        set.texts[byte] = SHORT[byte] or format("\\u%04x", byte)
    end
    set.texts[127] = "\\u007f"
    set.texts[34], set.texts[92] = SHORT[34], SHORT[92]
    if with_slash then
        set.texts[SLASH] = "\\/"
    end
    for byte in pairs(set.texts) do
        set.needed[byte] = 1
    end
    return set
end

local _M = {
    with_slash = new_set(true),
    without_slash = new_set(false),
}

local function put_escaped(out, p, length, first, set)
    local needed, texts = set.needed, set.texts
    local start = 0
    out:put('"')
    for i = first, length - 1 do
        if needed[p[i]] ~= 0 then
            out:putcdata(p + start, i - start)
            out:put(texts[p[i]])
            start = i + 1
        end
    end
    out:putcdata(p + start, length - start)
    out:put('"')
end

--- Append `text`, quoted.
function _M.put_string(out, text, set)
    local needed = set.needed
    local p, length = cast(bytes, text), #text
    for i = 0, length - 1 do
        if needed[p[i]] ~= 0 then
            put_escaped(out, p, length, i, set)
            return
        end
    end
    out:put('"', text, '"')
end

local function keep_key(set, key, quoted)
    if set.key_count >= KEPT_KEYS then
        set.keys, set.key_count = {}, 0
    end
    set.keys[key] = quoted
    set.key_count = set.key_count + 1
end

--- Append `key` and its colon. Short keys are quoted once and kept, as most objects have the same few.
function _M.put_key(out, key, set)
    local quoted = set.keys[key]
    if quoted then
        out:put(quoted)
        return
    end
    local made = buffer.new()
    _M.put_string(made, key, set)
    quoted = made:put(":"):get()
    if #key <= KEPT_KEY_LENGTH then
        keep_key(set, key, quoted)
    end
    out:put(quoted)
end

return _M
