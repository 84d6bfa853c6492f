-- Owns the look-up of what a plugin's source reaches for: modules, and paths from them and from the globals,
-- among the real tables of this VM. Must never call what it finds.
local ffi = require "ffi"
local loading = require "apisix.check.loading"

local C = ffi.C
local find = string.find
local getmetatable = getmetatable
local ipairs = ipairs
local next = next
local pairs = pairs
local pcall = pcall
local require = require
local sort = table.sort
local tostring = tostring
local type = type

local NAMES_MAX = 500 -- of a table, to guess from what was meant

-- What only a request has: everything below them exists.
local OF_REQUEST = { var = true, ctx = true, header = true, arg = true, status = true }

local _M = {}

local function index(value, key)
    return value[key]
end

-- Returns the field, or nil; and whether anything may stand below it.
local function step(value, name)
    local ok, field = pcall(index, value, name)
    if not ok then
        local text = tostring(field)
        local is_absent = find(text, "undefined symbol", 1, true) or find(text, "missing declaration", 1, true)
        return nil, not is_absent and type(value) ~= "function" and type(value) ~= "number"
    end
    local kind = type(field)
    return field, kind == "userdata" and field ~= C or kind == "cdata"
end

local function names_of(value)
    local names = {}
    local meta = getmetatable(value)
    for _, each in ipairs({ value, type(meta) == "table" and meta.__index or nil }) do
        if type(each) == "table" then
            for name in pairs(each) do
                if type(name) == "string" and #names < NAMES_MAX then
                    names[#names + 1] = name
                end
            end
        end
    end
    sort(names)
    return names
end

local function is_filled_later(value)
    return type(value) == "table" and next(value) == nil and getmetatable(value) == nil
end

-- Follow names from value. Returns nil when all are there, else {at = number of the first that is not, names =
-- array of those that are in its stead}.
local function follow(value, names)
    local parent = value
    for i, name in ipairs(names) do
        if parent == ngx and OF_REQUEST[name] then
            return nil
        end
        local field, is_open = step(parent, name)
        if is_open then
            return nil
        elseif field == nil then
            if is_filled_later(parent) then
                return nil
            end
            return { at = i, names = names_of(parent) }
        end
        parent = field
    end
    return nil
end

local results = {} -- of require, by name: {ok, value or error}

local function required(name)
    local known = results[name]
    if not known then
        loading.forget_failures() -- of requires that somebody's pcall has swallowed
        known = { pcall(require, name) }
        known[2] = known[1] and known[2] or loading.describe(known[2])
        results[name] = known
    end
    return known[1], known[2]
end

local function look_up(wanted)
    local root = _G
    if wanted.module then
        local ok, value = required(wanted.module)
        if not ok then
            return { failure = value }
        end
        root = value
    end
    return follow(root, wanted.names) or {}
end

-- wanted: array of {module = name or absent (the globals), names = array}. Returns an array of {} (it is there),
-- {at, names} or {failure = of apisix.check.loading.describe()} (the module does not load).
function _M.find(wanted)
    local found = {}
    for i, each in ipairs(wanted) do
        found[i] = look_up(each)
    end
    return found
end

return _M
