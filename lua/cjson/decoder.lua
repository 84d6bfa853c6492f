-- Owns the decoding of a JSON text into Lua tables.
-- Must never read settings but those of its argument, nor keep anything between two calls.
--
-- One loop with a stack of its own, no recursion: LuaJIT compiles it into traces that all return to the loop's head.
-- An iteration reads one value, stores it in the open container and reads up to the next value.
local scanner = require "cjson.scanner"
local marks = require "cjson.marks"

local type = type
local error = error
local format = string.format
local setmetatable = setmetatable
local open, describe = scanner.open, scanner.describe
local read_string, read_scalar = scanner.read_string, scanner.read_scalar
local skip_space, skip_comments = scanner.skip_space, scanner.skip_comments

local QUOTE, COMMA, COLON = 34, 44, 58
local OBJECT_BEGIN, OBJECT_END, ARRAY_BEGIN, ARRAY_END = 123, 125, 91, 93
local HIGHEST_SPACE, SLASH = 32, 47

local function fail(expected, found, index)
    error(format("Expected %s but found %s at character %d", expected, found, index + 1), 0)
end

local function fail_at(source, i, expected)
    fail(expected, describe(source.bytes, i, source.length, source.lax))
end

-- The index of the next token.
local function next_token(source, i, expected)
    local p = source.bytes
    local c = p[i]
    if c > HIGHEST_SPACE and c ~= SLASH then
        return i
    elseif not source.comments then
        return skip_space(p, i)
    end
    local at, wrong_at, reason = skip_comments(p, i)
    if not at then
        fail(expected, reason, wrong_at)
    end
    return at
end

-- Read `"key" :` at the token `i`; returns the key and the index of the value.
local function read_key(source, i)
    local p = source.bytes
    if p[i] ~= QUOTE then
        fail_at(source, i, "object key string")
    end
    local key, behind, reason = read_string(p, i, source.length)
    if reason then
        fail("object key string", reason, behind)
    end
    i = next_token(source, behind, "colon")
    if p[i] ~= COLON then
        fail_at(source, i, "colon")
    end
    return key, next_token(source, i + 1, "value")
end

local function read_leaf(source, i)
    local p = source.bytes
    local value, behind, reason
    if p[i] == QUOTE then
        value, behind, reason = read_string(p, i, source.length)
    elseif p[i] == COMMA or p[i] == COLON or p[i] == OBJECT_END or p[i] == ARRAY_END or p[i] == 0 then
        fail_at(source, i, "value")
    else
        value, behind, reason = read_scalar(p, i, source.lax)
    end
    if reason then
        fail("value", reason, behind)
    end
    return value, behind
end

-- Read one value of any kind at the token `i`. `place` is where the value goes in `container`: a key, or the number
-- of elements so far + 1. `container` is nil at the top.
local function read_value(source, i, max_depth, array_mt)
    local p = source.bytes
    local containers, places, depth = {}, {}, 0
    local container, place, in_array, value

    ::read::
    local c = p[i]
    if c == OBJECT_BEGIN or c == ARRAY_BEGIN then
        if depth >= max_depth then
            error(format("Found too many nested data structures (%d) at character %d", depth + 1, i + 1), 0)
        end
        value = {}
        local closing = c + 2
        if c == ARRAY_BEGIN and array_mt then
            setmetatable(value, array_mt)
        end
        i = next_token(source, i + 1, c == ARRAY_BEGIN and "value" or "object key string")
        if p[i] ~= closing then
            depth = depth + 1
            containers[depth], places[depth] = container, place
            container, in_array = value, c == ARRAY_BEGIN
            if in_array then
                place = 1
            else
                place, i = read_key(source, i)
            end
            goto read
        end
        i = i + 1
    else
        value, i = read_leaf(source, i)
    end

    ::store::
    if not container then
        return value, i
    end
    container[place] = value
    i = next_token(source, i, in_array and "comma or array end" or "comma or object end")
    c = p[i]
    if c == COMMA then
        i = next_token(source, i + 1, in_array and "value" or "object key string")
        if in_array then
            place = place + 1
        else
            place, i = read_key(source, i)
        end
        goto read
    elseif c ~= (in_array and ARRAY_END or OBJECT_END) then
        fail_at(source, i, in_array and "comma or array end" or "comma or object end")
    end
    value, i = container, i + 1
    container, place = containers[depth], places[depth]
    depth = depth - 1
    in_array = type(place) == "number"
    goto store
end

local _M = {}

--- Decode `text`.
-- @param settings a table: decode_max_depth, decode_invalid_numbers, decode_array_with_array_mt, decode_allow_comment
-- @return the value; raises the message of lua-cjson, without a position in the caller
function _M.decode(text, settings)
    local p, length = open(text)
    if #text >= 2 and length < 2 then
        error("JSON parser does not support UTF-16 or UTF-32", 0)
    end
    local source = {
        bytes = p, length = length,
        lax = settings.decode_invalid_numbers, comments = settings.decode_allow_comment,
    }
    local i = next_token(source, 0, "value")
    local array_mt = settings.decode_array_with_array_mt and marks.array_mt or nil
    local value
    value, i = read_value(source, i, settings.decode_max_depth, array_mt)
    i = next_token(source, i, "the end")
    if p[i] ~= 0 then
        fail_at(source, i, "the end")
    end
    return value
end

return _M
