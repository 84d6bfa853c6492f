-- Owns log formats: what `log_format` says, compiled once per configuration, and the entries made by it.
-- Part of apisix.utils.log-util.
local bodies = require "apisix.utils.log-util.bodies"
local core = require "apisix.core"

local byte = string.byte
local new_table = core.table.new
local pairs = pairs
local setmetatable = setmetatable
local sub = string.sub
local type = type

local MAX_DEPTH = 5
local DOLLAR = byte("$")
local CONSTANT, VARIABLE, REQUEST_BODY, NESTED = 0, 1, 2, 3

local _M = {}

-- format (a table of a configuration, which lives as long as it) -> compiled format
local compiled = setmetatable({}, { __mode = "k" })
local EMPTY = { n = 0 }

local compile

local function compile_table(value, depth)
    if depth >= MAX_DEPTH then
        core.log.warn("log_format nesting exceeds max depth ", MAX_DEPTH, ", truncating")
        return EMPTY
    end
    return compile(value, depth + 1)
end

-- Flat: key, kind, what of it; three by three.
function compile(format, depth)
    local found, n = {}, 0
    for key, value in pairs(format) do
        local kind = CONSTANT
        if type(value) == "table" then
            kind, value = NESTED, compile_table(value, depth)
        elseif type(value) == "string" and byte(value) == DOLLAR then
            value = sub(value, 2)
            kind = value == "request_body" and REQUEST_BODY or VARIABLE
        end
        found[n + 1], found[n + 2], found[n + 3] = key, kind, value
        n = n + 3
    end
    found.n = n
    return found
end

local function request_body(max_bytes)
    local body, err = bodies.of_request(max_bytes)
    if err then
        core.log.error("fail to get request body: ", err)
    end
    return body
end

local function build(ctx, format, max_bytes)
    local var = ctx.var
    local entry = new_table(0, format.n / 3 + 2)
    for i = 1, format.n, 3 do
        local key, kind, what = format[i], format[i + 1], format[i + 2]
        if kind == VARIABLE then
            entry[key] = var[what]
        elseif kind == CONSTANT then
            entry[key] = what
        elseif kind == NESTED then
            entry[key] = build(ctx, what, max_bytes)
        else
            entry[key] = request_body(max_bytes)
        end
    end
    return entry
end

-- The entry that format describes: a value "$name" is a variable, a table is nested, anything else stands for
-- itself. max_bytes: of $request_body.
function _M.entry(ctx, format, max_bytes)
    local found = compiled[format]
    if not found then
        found = compile(format, 1)
        compiled[format] = found
    end
    return build(ctx, found, max_bytes)
end

return _M
