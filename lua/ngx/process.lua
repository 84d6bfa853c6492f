-- Owns the module ngx.process. Source: lua-resty-core, ngx.process.
local bridge = require "server.bridge"
local current = require "server.current"
local identity = require "server.identity"
local phases = require "server.phases"
local sysinfo = require "server.sysinfo"

local type = type

local _M = { version = "0.1.33" }

local function in_init()
    return phases.global == "init" and not current.request
end

-- "worker", "privileged agent" or "single" (no master). During init, which runs in each of them here: "master".
function _M.type()
    if in_init() and identity.process ~= "single" then
        return "master"
    end
    return identity.process
end

-- In init: have a process beside the workers that serves nobody and runs init_worker too, with the type
-- "privileged agent". connections: of no importance here. Returns true, or nil and an error text.
function _M.enable_privileged_agent(connections)
    if not in_init() then
        return nil, "API disabled in the current context"
    elseif connections and (type(connections) ~= "number" or connections < 0) then
        return nil, "bad 'connections' argument: number expected and greater than 0"
    end
    bridge.call.want_agent()
    return true
end

-- Have this process finish what is under way and end; the master starts another.
function _M.signal_graceful_exit()
    bridge.call.quit()
end

function _M.get_master_pid()
    return identity.process == "single" and sysinfo.getpid() or sysinfo.getppid()
end

return _M
