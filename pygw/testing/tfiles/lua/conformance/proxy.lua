-- Owns proxy_pass and upstream{}: where a request goes, as a balancer handler and a `proxy` table.
local balancer = require "ngx.balancer"
local code = require "conformance.code"
local current = require "server.current"
local log = require "server.log"
local resolving = require "server.resolving"
local script = require "conformance.script"
local values = require "conformance.values"

local template = values.template
local concat, remove = table.concat, table.remove
local assert, error, ipairs, pairs, tonumber, tostring = assert, error, ipairs, pairs, tonumber, tostring
local unpack = unpack
local find, format, match, sub = string.find, string.format, string.match, string.sub

local _M = { upstreams = {} }

local function peer_of(text, port)
    if sub(text, 1, 5) == "unix:" then
        return { host = text, port = 0 }
    end
    local host, given = match(text, "^(%[[%x:.]+%])%:?(%d*)$")
    if not host then
        host, given = match(text, "^([^:]+):?(%d*)$")
    end
    return { host = host == "localhost" and "127.0.0.1" or host, port = tonumber(given) or port }
end

-- upstream NAME { server …; balancer_by_lua…; keepalive …; }
-- unknown: a function(name) for directives that are none of ours.
function _M.declare(directive, unknown)
    local upstream = { name = directive.args[1], peers = {} }
    for _, inner in ipairs(directive.block) do
        if inner.name == "server" then
            upstream.peers[#upstream.peers + 1] = peer_of(inner.args[1], 80)
        elseif find(inner.name, "^balancer_by_lua") then
            upstream.code = code.handler(inner)
        elseif inner.name == "keepalive" then
            upstream.keepalive = tonumber(inner.args[1])
        else
            unknown(inner.name)
        end
    end
    _M.upstreams[upstream.name] = upstream
end

-- The address of a peer that may be a name.
local function address_of(peer)
    local host, err = resolving.resolve(peer.host, peer.port, current.request.settings)
    if not host then
        log.err(err)
        ngx.exit(502)
    end
    return host
end

local function choose(upstream)
    local peer = upstream.peers[1]
    if not peer then
        return
    end
    local host = address_of(peer)
    if not host then
        return
    end
    assert(balancer.set_current_peer(host, peer.port))
    if #upstream.peers > 1 then
        upstream.peers[#upstream.peers + 1] = remove(upstream.peers, 1)
    end
    if upstream.keepalive then
        balancer.enable_keepalive()
    end
end

-- "http://host[:port][/uri]" or "http://unix:/path:/uri": its parts.
local function parts(url)
    local scheme, rest = match(url, "^(https?)://(.*)$")
    if not scheme then
        return nil
    end
    local socket, uri = match(rest, "^(unix:[^:]+):?(.*)$")
    if socket then
        return scheme, socket, uri ~= "" and uri or nil
    end
    local host, path = match(rest, "^([^/?]*)(.*)$")
    return scheme, host, path ~= "" and path or nil
end

-- The target to ask for: proxy_pass's URI in the stead of the location's path, if it names one.
local function target_of(uri, location, constant)
    if not uri then
        return nil
    elseif not constant then
        return uri
    end
    local rest = location and sub(ngx.var.uri, #location + 1) or ""
    local args = ngx.var.args
    return uri .. ngx.escape_uri(rest, 0) .. (args and args ~= "" and "?" .. args or "")
end

local function resolve(scheme, host)
    local upstream = _M.upstreams[host]
    if upstream then
        return upstream
    end
    return { peers = { peer_of(host, scheme == "https" and 443 or 80) } }
end

local function whole_target()
    local args = ngx.var.args
    return ngx.escape_uri(ngx.var.uri, 0) .. (args and args ~= "" and "?" .. args or "")
end

local function path(text)
    return sub(text, 1, 1) == "/" and text or code.prefix .. "conf/" .. text
end

local PLAIN = { -- directives that go into the `proxy` table under their own name
    proxy_http_version = tostring, proxy_buffering = values.flag, proxy_next_upstream_tries = tonumber,
    proxy_ssl_name = tostring, proxy_ssl_server_name = values.flag, proxy_ssl_verify = values.flag,
    proxy_ssl_certificate = path, proxy_ssl_certificate_key = path, proxy_ssl_session_reuse = values.flag,
    proxy_ssl_trusted_certificate = path, proxy_ssl_ciphers = tostring, proxy_pass_request_body = values.flag,
    proxy_intercept_errors = values.flag, proxy_ignore_client_abort = values.flag,
    proxy_ssl_verify_depth = tonumber, proxy_ssl_crl = path,
    proxy_ssl_protocols = function(...) return concat({ ... }, " ") end,
}
_M.PLAIN = PLAIN

local function fields(conf)
    local set, seen = {}, {}
    for _, directive in ipairs(conf.all("proxy_set_header")) do
        set[#set + 1] = { directive.args[1], directive.args[2] }
        seen[directive.args[1]:lower()] = true
    end
    if not seen.host then
        set[#set + 1] = { "Host", "$conformance_proxy_host" }
    end
    if not seen.connection then
        set[#set + 1] = { "Connection", "close" }
    end
    return set
end

local function table_of(conf)
    local proxy = { uri = "$conformance_proxy_target", set_header = fields(conf) }
    local next_upstream = conf.first("proxy_next_upstream")
    if next_upstream then
        proxy.next_upstream = next_upstream.args
    end
    for name, convert in pairs(PLAIN) do
        local directive = conf.first(name)
        if directive then
            proxy[sub(name, 7)] = convert(unpack(directive.args))
        end
    end
    for i, directive in ipairs(conf.all("proxy_ssl_conf_command")) do
        proxy.ssl_conf_command = proxy.ssl_conf_command or {}
        proxy.ssl_conf_command[i] = { directive.args[1], directive.args[2] }
    end
    proxy.ssl_name = proxy.ssl_name or "$conformance_proxy_host"
    proxy.http_version = proxy.http_version or "1.0"
    return proxy
end

-- The handler and the `proxy` table of a location with `proxy_pass`.
function _M.handlers(conf, directive)
    local url = directive.args[1]
    local dynamic = template(url)
    local constant = not find(match(url, "^https?://[^/]*(.*)$") or url, "$", 1, true)
    script.declared.conformance_proxy_host = ""
    script.declared.conformance_proxy_target = ""
    local function handler()
        local scheme, host, uri = parts(dynamic())
        if not scheme then
            error(format('invalid URL prefix in "%s"', dynamic()), 0)
        end
        ngx.var.conformance_proxy_host = sub(host, 1, 5) == "unix:" and "localhost" or host
        ngx.var.conformance_proxy_target = target_of(uri, conf.path, constant) or whole_target()
        local upstream = resolve(scheme, host)
        if upstream.code then
            upstream.code()
            if current.request.balancer.host or current.request.balancer.exit_code then
                return
            end
        end
        return choose(upstream)
    end
    return handler, table_of(conf), find(url, "^https:") and "https" or "http"
end

return _M
