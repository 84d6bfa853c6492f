-- Owns ngx.worker and ngx.config. Source: the ngx_lua documentation.
local identity = require "server.identity"
local sysinfo = require "server.sysinfo"

local worker = {}

function worker.id()
    return identity.id
end

function worker.count()
    return identity.count
end

function worker.pid()
    return sysinfo.getpid()
end

function worker.exiting()
    return identity.exiting
end

local config = {
    subsystem = "http",
    debug = false,
    nginx_version = 1027001,
    ngx_lua_version = 10028,
}

function config.prefix()
    return identity.prefix
end

function config.nginx_configure()
    return ""
end

return { worker = worker, config = config }
