-- Owns core.json: JSON for plugins and for log lines, and the settings of every cjson instance in the gateway.
-- Must never be loaded by floor 2, whose cjson keeps lua-cjson's defaults. Mirrors apisix.core.json.
local cjson = require "cjson"
local safe = require "cjson.safe"
local encoder = require "cjson.encoder"
local escape = require "cjson.escape"

local ngx = ngx
local type = type
local pairs = pairs
local tostring = tostring
local getmetatable = getmetatable
local setmetatable = setmetatable

local null, array_mt = safe.null, safe.array_mt

-- An empty array that was decoded is encoded as one, and "/" stays as it is: in each instance, those that libraries
-- make for themselves included, unless they set it otherwise afterwards.
local function settle(instance)
    instance.decode_array_with_array_mt(true)
    instance.encode_escape_forward_slash(false)
    local new = instance.new
    function instance.new()
        return settle(new())
    end
    return instance
end

settle(cjson)
settle(safe)

local CANONICAL = {
    sort_keys = true,
    exact_numbers = true,
    escapes = escape.without_slash,
    encode_max_depth = 1000,
    encode_sparse_ratio = 2,
    encode_sparse_safe = 10,
    encode_sparse_convert = true,
    encode_empty_table_as_object = true,
    encode_keep_buffer = true,
}

local _M = {
    version = 0.1,
    null = null,
    array_mt = array_mt,
}

--- Take every JSON null out of `t`, in place and at any depth. Returns `t`.
function _M.strip_nulls(t)
    for key, value in pairs(t) do
        if value == null then
            t[key] = nil
        elseif type(value) == "table" then
            _M.strip_nulls(value)
        end
    end
    return t
end

--- Decode `text`.
-- @param opts a table or nil: with null_as_nil, JSON nulls are left out
-- @return the value, or nil and a message
function _M.decode(text, opts)
    local value, err = safe.decode(text)
    if not (opts and opts.null_as_nil) then
        return value, err
    elseif value == null then
        return nil, err
    elseif type(value) == "table" then
        _M.strip_nulls(value)
    end
    return value, err
end

local IS_JSON = { string = true, number = true, boolean = true, ["nil"] = true }

local function printable(value)
    return (IS_JSON[type(value)] or value == null) and value or tostring(value)
end

-- A copy of `data` that JSON can hold: what it has no type for, and tables met before, as their tostring.
local function printable_copy(data, seen)
    if data == false or type(data) ~= "table" then
        return data and printable(data)
    end
    local copy = {}
    for key, value in pairs(data) do
        if type(value) ~= "table" then
            copy[printable(key)] = value and printable(value)
        elseif seen[value] then
            copy[printable(key)] = tostring(value)
        else
            seen[value] = true
            copy[printable(key)] = printable_copy(value, seen)
        end
    end
    return getmetatable(data) == array_mt and setmetatable(copy, array_mt) or copy
end

--- Encode `data`.
-- @param force if true, what JSON cannot hold (functions, cycles) is written as its tostring instead of failing
-- @return the text, or nil and a message
function _M.encode(data, force)
    return safe.encode(force and printable_copy(data, {}) or data)
end

--- Encode `data` with object keys in order and exact numbers: the same value always gives the same text.
-- @return the text; raises for what JSON cannot hold
function _M.canonical_encode(data)
    return encoder.encode(data, CANONICAL)
end

_M.stably_encode = _M.canonical_encode

local delayed_mt = {
    __tostring = function(self)
        local text, err = _M.encode(self.data, self.force)
        if not text then
            ngx.log(ngx.WARN, "failed to encode: ", err, " force: ", self.force)
        end
        return text or err
    end,
}

--- What `encode(data, force)` gives, computed only if it is turned into a string: for arguments of log calls.
function _M.delay_encode(data, force)
    return setmetatable({ data = data, force = force }, delayed_mt)
end

return _M
