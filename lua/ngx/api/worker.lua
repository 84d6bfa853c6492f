-- Owns ngx.worker and ngx.config. Source: the ngx_lua documentation.
local current = require "server.current"
local identity = require "server.identity"
local phases = require "server.phases"
local siblings = require "server.siblings"
local sysinfo = require "server.sysinfo"

local BOOTING = { init = true, init_worker = true }

local worker = {}

-- From 0; nil in a process that is no worker (the privileged agent).
function worker.id()
    return identity.id >= 0 and identity.id or nil
end

function worker.count()
    return identity.count
end

function worker.pid()
    return sysinfo.getpid()
end

-- The workers' process ids, while a reload is under way also those of the old ones. nil and an error text in
-- init and init_worker.
function worker.pids()
    if not current.request and BOOTING[phases.global] then
        return nil, "API disabled in the current context"
    end
    return identity.process == "single" and { sysinfo.getpid() } or siblings()
end

-- Also true in a timer whose code was replaced by a newer one.
function worker.exiting()
    local r = current.request
    return identity.exiting or r ~= nil and r.is_old == true
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

-- What nginx would have been configured with to have what is here.
function config.nginx_configure()
    return "--with-http_ssl_module --with-threads"
end

return { worker = worker, config = config }
