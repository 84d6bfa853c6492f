-- Owns the Lua side of a VM that runs in a thread of its own: the part of ngx.* that needs no request and no
-- event loop, and the running of one function of a module. Must never call into Python.
local critical = require "server.critical"
local values = require "server.thread_values"

local ipairs, pairs, pcall, require, tostring, type = ipairs, pairs, pcall, require, tostring, type

local FAMILIES = { "constants", "string", "base64", "digest", "time", "args", "regex", "shdict", "log" }

local function install_ngx()
    local api = {}
    for _, family in ipairs(FAMILIES) do
        for name, value in pairs(require("ngx.api." .. family)) do
            api[name] = value
        end
    end
    api.config = require("ngx.api.worker").config
    ngx, python = api, nil -- luacheck: ignore 111
end

-- Make the VM what it is to be. boot: packed, of {path, cpath, prefix, dicts (what ngx.shdict lends), log_fd,
-- log_level}.
local function start(boot, number)
    local config = values.unpack(boot)
    package.path, package.cpath = config.path, config.cpath
    require("server.identity").prefix = config.prefix
    local log = require "server.log"
    log.fd, log.level = config.log_fd, config.log_level
    require("ngx.shdict").borrow(config.dicts, number)
    install_ngx()
end

local function results(ok, ...)
    if not ok then
        return values.pack(false, tostring((...)))
    end
    local packed, why = values.pack(true, ...)
    return packed or values.pack(false, why .. " in the return value")
end

local function failed(why)
    return values.pack(false, why)
end

local function run(module, name, arguments)
    local loaded, found = pcall(require, module)
    if not loaded then
        return failed(tostring(found))
    elseif type(found) ~= "table" then
        return failed("invalid lua module")
    elseif type(found[name]) ~= "function" then
        return failed("invalid function")
    end
    local packed = results(pcall(found[name], values.unpack(arguments)))
    if critical.depth[0] ~= 0 then
        critical.settle()
    end
    return packed
end

local started = false

-- Call require(module)[name](arguments…). number: which VM of the process this is, from 1 on; boot: see start();
-- both read at the first call. arguments: packed.
-- Returns, packed: true and the results, or false and an error text.
return function(number, boot, module, name, arguments)
    if not started then
        started = true
        start(boot, number)
    end
    require("server.clock").update()
    return run(module, name, arguments)
end
