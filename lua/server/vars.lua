-- Owns the namespace of nginx's variables: for each name a function of a request, found once and kept. The
-- families stand in server/vars/. The application declares variables of its own (`variables`), settable as
-- those of nginx's `set` are; a default may be another variable. Values are strings; nil where nginx would say
-- "not found".
local new_tab = require "table.new"
local phases = require "server.phases"

local byte, lower, sub = string.byte, string.lower, string.sub
local ipairs, pairs, tostring = ipairs, pairs, tostring

local FAMILIES = { "request", "connection", "tls", "response", "upstream" }
local DOLLAR = byte("$")
local KEPT_MAX = 4096 -- names of application's and requests' making

local _M = {}

local listed, unlisted, setters, prefixes = {}, {}, {}, {}

local function merge(into, from)
    for name, value in pairs(from or {}) do
        into[name] = value
    end
end

-- Add a family of variables: {get, unlisted (both name -> function(r)), set (name -> function(r, value)),
-- prefixes (prefix -> function(rest of the name) -> function(r))}. unlisted: those unknown to writers.
function _M.add(family)
    merge(listed, family.get)
    merge(unlisted, family.unlisted)
    merge(setters, family.set)
    merge(prefixes, family.prefixes)
end

for _, name in ipairs(FAMILIES) do
    _M.add(require("server.vars." .. name))
end

-- What the application's default for a variable of its own says: "$name" is another variable's value.
local function default_value(r, name)
    local variables = phases.app.variables
    local default = variables and variables[name]
    if default and byte(default) == DOLLAR then
        return _M.getter(sub(default, 2))(r)
    end
    return default
end

-- The value of a variable that the application declares, be it later; nil while it does not.
local function own_variable(name)
    return function(r)
        local values = r.vars
        local value = values and values[name]
        if value == nil then
            return default_value(r, name)
        end
        return value or nil -- false: it was set to nil
    end
end

local function by_prefix(name)
    local found
    for prefix, make in pairs(prefixes) do
        local length = #prefix
        if #name > length and sub(name, 1, length) == prefix and (not found or length > found) then
            found = length
        end
    end
    return found and prefixes[sub(name, 1, found)](sub(name, found + 1))
end

local function build(name)
    name = lower(name)
    if listed[name] then
        return listed[name]
    end
    local variables = phases.app.variables
    if variables and variables[name] then
        return own_variable(name)
    end
    return unlisted[name] or by_prefix(name) or own_variable(name)
end

local kept, kept_n = {}, 0

-- The function(r) -> string | nil for a variable, in any case. Names may come from outside, so what is kept
-- is bounded.
function _M.getter(name)
    local found = kept[name]
    if not found then
        found = build(name)
        if kept_n < KEPT_MAX then
            kept_n = kept_n + 1
            kept[name] = found
        end
    end
    return found
end

-- Keep the value (a string or nil) of a variable that the application declares. name: in lower case.
function _M.keep(r, name, value)
    local values = r.vars
    if not values then
        values = new_tab(0, 8)
        r.vars = values
    end
    values[name] = value or false
end

-- Set a variable. Returns true, or nil and why it cannot be set.
function _M.set(r, name, value)
    if value ~= nil then
        value = tostring(value)
    end
    name = lower(name)
    local setter = setters[name]
    if setter then
        setter(r, value)
        return true
    elseif listed[name] then
        return nil, 'variable "' .. name .. '" not changeable'
    end
    local variables = phases.app.variables
    if not variables or variables[name] == nil then
        return nil, 'variable "' .. name .. '" not found for writing; maybe it is a built-in variable that is '
            .. 'not changeable or you forgot to use "set $' .. name .. " '';\" in the config file to define it first"
    end
    _M.keep(r, name, value)
    return true
end

return _M
