-- Owns the two directions of a query string: text to table of arguments and back (ngx_lua's
-- parse_args and process_args_option). Must never look at a request.
local log = require "server.log"
local uri = require "ngx.api.string"

local concat = table.concat
local error = error
local escape_uri = uri.escape_uri
local find = string.find
local gsub = string.gsub
local next = next
local sub = string.sub
local tostring = tostring
local type = type
local unescape_uri = uri.unescape_uri

local LIMIT_HIT = "lua hit query args limit "

local _M = { MAX_ARGS = 100 }

local function add(args, key, value)
    local old = args[key]
    if old == nil then
        args[key] = value
    elseif type(old) == "table" then
        old[#old + 1] = value
    else
        args[key] = { old, value }
    end
end

-- Adds the argument str[from, to], whose "=" stands at eq (nil or beyond `to`: none). An argument
-- without a name is dropped. Returns whether it was kept.
local function add_pair(args, str, from, to, eq)
    if eq and eq > to then
        eq = nil
    end
    local key = unescape_uri(sub(str, from, (eq or to + 1) - 1))
    if key == "" then
        return false
    end
    add(args, key, eq == nil or unescape_uri(sub(str, eq + 1, to)))
    return true
end

-- Reads arguments until `max` of them have been seen before an "&" (0: no limit). all_count: whether
-- dropped ones count too; into: a table to put them into, or nil. Returns the table and whether it stopped early.
local function read(str, max, all_count, into)
    local args = into or {}
    local from, len, seen = 1, #str, 0
    local eq = find(str, "=", 1, true)
    while from <= len do
        if eq and eq < from then
            eq = find(str, "=", from, true)
        end
        local amp = find(str, "&", from, true)
        if add_pair(args, str, from, (amp or len + 1) - 1, eq) or all_count then
            seen = seen + 1
        end
        if not amp then
            return args, false
        end
        if seen == max and max > 0 then
            return args, true
        end
        from = amp + 1
    end
    return args, false
end

-- Text to table, as ngx.decode_args and ngx.req.get_post_args: max is the number of pairs read, 0 for
-- all; if the "&" behind the last of them is met, the second result is "truncated". Values are
-- strings, true (no "="), or arrays of both.
function _M.decode(str, max)
    local args, stopped = read(str, max, true)
    if stopped then
        log.debug(LIMIT_HIT, max)
        return args, "truncated"
    end
    return args
end

-- Text to table, as ngx.req.get_uri_args: arguments without a name do not count, but the answer is
-- "truncated" whenever the text has more than `max` pairs, even empty ones. max < 0 is the default. into: a
-- table to put them into, or nil.
function _M.decode_uri_args(str, max, into)
    if max < 0 then
        max = _M.MAX_ARGS
    end
    local args = read(str, max, false, into)
    local amps = 0
    if max > 0 and find(str, "&", 1, true) then
        local _, count = gsub(str, "&", "")
        amps = count
    end
    if max > 0 and amps > 0 and amps + 1 > max then
        log.debug(LIMIT_HIT, max)
        return args, "truncated"
    end
    return args
end

local function check_value(value, level)
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" then
        error("attempt to use " .. kind .. " as query arg value", level + 1)
    end
end

-- Puts one "key=value" or "key"; false, like nil, puts nothing. Returns the new count of pieces.
local function put(pieces, n, key, value, level)
    if value == false then
        return n
    end
    if value ~= true then
        check_value(value, level + 1)
        key = key .. "=" .. escape_uri(tostring(value))
    end
    pieces[n + 1] = key
    return n + 1
end

-- Table to text: keys are strings; values strings, numbers, booleans or tables of those. Raises, at
-- `level` above the caller, on anything else.
function _M.encode(args, level)
    level = level + 1
    local pieces, n = {}, 0
    for key, value in next, args do
        if type(key) ~= "string" then
            error('attempt to use a non-string key in the "args" option table', level)
        end
        key = escape_uri(key)
        if type(value) == "table" then
            for _, item in next, value do
                n = put(pieces, n, key, item, level)
            end
        else
            n = put(pieces, n, key, value, level)
        end
    end
    return concat(pieces, "&")
end

return _M
