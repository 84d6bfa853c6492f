-- Owns what an upstream and the plugins are told of the client's connection: X-Forwarded-Proto, -Host and
-- -Port say what this gateway has seen, whatever the client claims, unless the peer is a trusted one.
-- X-Forwarded-For is left to the proxy, which appends to it. Mirrors APISIX's nginx.conf and its
-- handling of trusted_addresses.
local core = require "apisix.core"
local trusted = require "apisix.utils.trusted-addresses"

local match = string.match
local ngx = ngx
local set_header = ngx.req.set_header

local MAX_KNOWN = 1024

local _M = {}

-- Host field -> port in it, or false. Bounded, as clients make up hosts.
local ports, known = {}, 0

local function port_of(http_host)
    local port = ports[http_host]
    if port == nil then
        if known == MAX_KNOWN then
            ports, known = {}, 0
        end
        known = known + 1
        port = match(http_host, ":(%d+)$") or false
        ports[http_host] = port
    end
    return port
end

-- The client's own value is kept for those who want it.
local function replace(var, name, value, variable, original)
    local sent = var[variable]
    if sent then
        var[original] = sent
    end
    set_header(name, value)
    return sent
end

local function restore(ctx, name, variable, sent)
    if sent and sent ~= "" then
        core.request.set_header(ctx, name, sent)
        ctx.var[variable] = sent
    end
end

local function drop_forwarded_for(ctx)
    if ctx.var.http_x_forwarded_for then
        core.request.set_header(ctx, "X-Forwarded-For", nil)
    end
end

-- Settle the headers of a request. To be called before any plugin.
function _M.settle(ctx)
    local var = ngx.var
    local http_host = var.http_host
    local proto = replace(var, "X-Forwarded-Proto", var.scheme, "http_x_forwarded_proto", "original_x_forwarded_proto")
    local host = replace(var, "X-Forwarded-Host", http_host or var.host, "http_x_forwarded_host",
        "original_x_forwarded_host")
    local port = replace(var, "X-Forwarded-Port", http_host and port_of(http_host) or var.server_port,
        "http_x_forwarded_port", "original_x_forwarded_port")
    local forwarded = replace(var, "Forwarded", nil, "http_forwarded", "original_forwarded")
    local chain = var.http_x_forwarded_for
    if chain then
        ctx.var.original_x_forwarded_for = chain
    end
    if not trusted.is_configured() then
        return
    end
    if not trusted.is_trusted(ctx.var.realip_remote_addr) then
        return drop_forwarded_for(ctx)
    end
    restore(ctx, "X-Forwarded-Proto", "http_x_forwarded_proto", proto)
    restore(ctx, "X-Forwarded-Host", "http_x_forwarded_host", host)
    restore(ctx, "X-Forwarded-Port", "http_x_forwarded_port", port)
    restore(ctx, "Forwarded", "http_forwarded", forwarded)
end

return _M
