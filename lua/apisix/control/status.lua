-- Owns the status server: /status, whether this gateway runs; /status/ready, whether every worker has loaded its
-- configuration, which each reports in a shared dict (core/config_etcd/status.lua). Must never wait.
local core = require "apisix.core"
local discovery = require "apisix.discovery.init"
local roster = require "apisix.control.roster"

local concat = table.concat
local ngx = ngx
local pairs = pairs

local _M = {}

-- Returns true, or nil and which workers have not.
local function config_ready()
    local dict = ngx.shared["status-report"]
    local _, absent = roster.workers()
    local missing = {}
    for id = 0, ngx.worker.count() - 1 do
        if absent[id] or not dict:get(id) then
            missing[#missing + 1] = "worker id: " .. id .. " has not received configuration"
        end
    end
    if missing[1] then
        return nil, concat(missing, ", ")
    end
    return true
end

local function discovery_ready()
    for _, module in pairs(discovery.discovery or {}) do
        if module.check_discovery_ready then
            local ready, message = module.check_discovery_ready()
            if not ready then
                return nil, message
            end
        end
    end
    return true
end

local function ready()
    local ok, err = config_ready()
    if ok then
        ok, err = discovery_ready()
    end
    if not ok then
        return 503, { status = "error", error = err }
    end
    return 200, { status = "ok" }
end

-- The content of the status server.
function _M.serve()
    local uri = ngx.var.uri
    local code, body = 404, nil
    if uri == "/status" then
        code, body = 200, { status = "ok" }
    elseif uri == "/status/ready" then
        code, body = ready()
    end
    if body then
        core.response.set_header("Content-Type", "application/json")
    end
    return core.response.exit(code, body)
end

return _M
