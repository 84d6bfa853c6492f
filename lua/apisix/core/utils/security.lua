-- Owns the warnings about plugin configurations that give up TLS. Must never refuse one.
-- Part of apisix.core.utils.
local log = require "apisix.core.log"

local gmatch = string.gmatch
local ipairs = ipairs
local sub = string.sub
local type = type

local _M = {}

-- path: "a.b.c" in conf. Returns the table that holds the last name, and that name; nil if there is none.
local function holder_of(path, conf)
    local name
    for part in gmatch(path, "[^.]+") do
        if name then
            conf = conf[name]
            if type(conf) ~= "table" then
                return nil
            end
        end
        name = part
    end
    return conf, name
end

local function warn_unless_https(value, field, plugin_name)
    if type(value) == "string" and sub(value, 1, 5) ~= "https" then
        log.warn("Using ", plugin_name, " ", field, " with no TLS is a security risk")
    end
end

-- fields: paths in conf whose values are URLs or arrays of URLs.
function _M.check_https(fields, conf, plugin_name)
    for _, field in ipairs(fields) do
        local holder, name = holder_of(field, conf)
        local value = holder and holder[name]
        if type(value) == "table" then
            for _, each in ipairs(value) do
                warn_unless_https(each, field, plugin_name)
            end
        else
            warn_unless_https(value, field, plugin_name)
        end
    end
end

-- fields: paths in conf of switches that turn verification on.
function _M.check_tls_bool(fields, conf, plugin_name)
    for _, field in ipairs(fields) do
        local holder, name = holder_of(field, conf)
        local value = holder and holder[name]
        if value ~= nil and value ~= true then
            log.warn("Keeping ", field, " disabled in ", plugin_name, " configuration is a security risk")
        end
    end
end

return _M
