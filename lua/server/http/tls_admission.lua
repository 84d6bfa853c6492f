-- Owns the refusal of requests that came over the wrong kind of connection: plain HTTP to a TLS listener, or
-- without the client certificate that the server wants. Source: nginx, ngx_http_process_request.
local log = require "server.log"
local reading = require "server.http.reading"
local servers = require "server.http.servers"

local _M = {}

-- Why the client's certificate does not do (of which nginx's optional_no_ca does not care), or nil.
local OPTIONAL = { [18] = true, [19] = true, [20] = true, [21] = true, [27] = true }

local function refuse(conn, r, title, why)
    reading.refuse(conn, r, 400, why, title)
    return true
end

local function refuses_client(conn, r, mode)
    local peer = require "server.tls.peer"
    local connection = conn.stream.ssl
    local code, why = peer.fault(connection)
    if code and not (mode == "optional_no_ca" and OPTIONAL[code]) then
        log.info("client SSL certificate verify error: (", code, ":", why, ")")
        return refuse(conn, r, "The SSL certificate error", "client SSL certificate verify error")
    elseif mode == "on" and not peer.certificate(connection) then
        return refuse(conn, r, "No required SSL certificate was sent", "client sent no required SSL certificate")
    end
    return false
end

-- Refuse r if it has to be, as conn.refusal says ("plain": whatever it is; "certificate": look at the client's).
-- Returns whether it was refused; then the connection is to be closed.
function _M.refuses(conn, r)
    if conn.refusal == "plain" then
        return refuse(conn, r, "The plain HTTP request was sent to HTTPS port",
            "client sent plain HTTP request to HTTPS port")
    end
    local site = conn.site
    local server = site.by_name and servers.choose(site, r) or site.default
    local mode = server.outer.settings.ssl_verify_client
    return mode ~= "off" and refuses_client(conn, r, mode)
end

return _M
