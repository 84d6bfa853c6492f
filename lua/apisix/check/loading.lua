-- Owns the loading of one plugin for `pygw check`, as a worker loads it, and what there is to tell of it then.
-- Must never load a second one: what the first has left behind would be in its way.
local core = require "apisix.core"
local loader = require "apisix.plugin.loader"
local modules = require "server.modules"
local object = require "apisix.check.object"

local match = string.match
local loaded = package.loaded
local pairs = pairs
local pcall = pcall
local preload = package.preload
local require = require
local tostring = tostring
local type = type

local _M = {}

-- From file: the searchers might find another one of its name.
local function require_from(module, file)
    preload[module] = function(...)
        return modules.load(module, file)(...)
    end
    return pcall(require, module)
end

-- A module that has failed to load leaves LuaJIT's mark behind (its type reads as a number here), and whoever
-- requires it next would hear of a loop.
function _M.forget_failures()
    for name, module in pairs(loaded) do
        local kind = type(module)
        if kind == "userdata" or kind == "number" then
            loaded[name] = nil
        end
    end
end

-- The error of a require: {text, missing = the module that was not found, or nil}
function _M.describe(err)
    _M.forget_failures()
    local text = tostring(err)
    return { text = text, missing = match(text, "module '([^'\n]+)' not found:") }
end

-- Have the worker's own loader adopt it. Returns nil, or what that logs.
local function adopt(name)
    local heard
    local log_error = core.log.error
    core.log.error = function(...)
        local parts = { ... }
        for i = 1, #parts do
            parts[i] = tostring(parts[i])
        end
        heard = heard or core.table.concat(parts)
    end
    loader.load({ name })
    core.log.error = log_error
    return not loader.plugins_hash[name] and (heard or "it was not loaded") or nil
end

-- asked: {name, file}. Returns {failure = of describe(), facts = see apisix.check.object, faults = array of
-- {about, text}, refused = what the loader said, nil if it has taken the plugin}.
function _M.load(asked)
    local ok, plugin = require_from("apisix.plugins." .. asked.name, asked.file)
    if not ok then
        return { failure = _M.describe(plugin) }
    end
    local faults = object.faults(asked.name, plugin)
    local result = { faults = faults, facts = object.facts(plugin) }
    if #faults == 0 then
        result.refused = adopt(asked.name)
    end
    return result
end

return _M
