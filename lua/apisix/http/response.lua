-- Owns what the gateway itself adds to a response: Server, X-APISIX-Upstream-Status, Apisix-Plugins; and
-- whether its body needs to come into Lua at all. Mirrors http_header_filter_phase of apisix.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local response = require "resty.apisix.response"
local trace = require "apisix.plugin.trace"

local byte = string.byte
local ngx = ngx
local sub = string.sub
local tonumber = tonumber

local SPACE = byte(" ")

local _M = {}

local server_header = "APISIX/" .. core.version.VERSION
local show_status = false

-- Read config.yaml: enable_server_tokens, show_upstream_status_in_response_header.
function _M.init_worker()
    local conf = core.config.local_conf().apisix or {}
    server_header = conf.enable_server_tokens == false and "APISIX" or "APISIX/" .. core.version.VERSION
    show_status = conf.show_upstream_status_in_response_header or false
end

-- "502, 200 : " -> "200"
local function last_status(status)
    if byte(status, -1) == SPACE then
        return sub(status, -6, -4)
    end
    return sub(status, -3)
end

local function is_failure(status)
    local code = tonumber(last_status(status))
    return code and code >= 500 and code <= 599
end

-- Set the gateway's headers; before the plugins', which may change them.
function _M.set_headers()
    local header = ngx.header
    header["Server"] = server_header
    local status = ngx.var.upstream_status
    if status and (show_status or is_failure(status)) then
        header["X-APISIX-Upstream-Status"] = status
    end
end

-- After the plugins'.
function _M.set_trace(api_ctx)
    if trace.enabled then
        ngx.header["Apisix-Plugins"] = plugin.trace_header(api_ctx)
    end
end

local function filters_body(plugins)
    if not plugins then
        return false
    end
    return plugins.filters_body or not plugins.by_phase
end

-- When nobody filters the body, its bytes need not become Lua strings.
function _M.release_body(api_ctx)
    if not (filters_body(api_ctx.plugins) or filters_body(api_ctx.global_plugins) or api_ctx.script_obj) then
        response.skip_body_filter_by_lua()
    end
end

return _M
