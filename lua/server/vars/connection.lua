-- Owns the variables that tell of the client's connection, of this server and of the time.
-- Source: nginx, ngx_http_core_module, "Embedded Variables".
local clock = require "server.clock"
local sysinfo = require "server.sysinfo"

local format, sub = string.format, string.sub
local floor = math.floor
local os_date = os.date
local select, tostring = select, tostring

local get = {}

function get.remote_addr(r) return r.remote_addr end
function get.remote_port(r) return tostring(r.remote_port) end
function get.realip_remote_addr(r)
    local extras = r.main.extras
    return extras and extras.peer_addr or r.remote_addr
end
function get.realip_remote_port(r)
    local extras = r.main.extras
    return tostring(extras and extras.peer_port or r.remote_port)
end
function get.binary_remote_addr(r) return sysinfo.binary_address(r.remote_addr) end
function get.connection(r) return tostring(r.connection) end
function get.connection_requests(r) return tostring(r.conn.requests) end
function get.connection_time(r) return format("%.3f", clock.now() - r.conn.accepted) end
function get.server_addr(r) return (sysinfo.local_address(r)) end
function get.server_port(r) return tostring(select(2, sysinfo.local_address(r))) end
function get.scheme(r) return r.stream.ssl and "https" or "http" end
function get.https(r) return r.stream.ssl and "on" or "" end
function get.pipe(r) return r.pipelined and "p" or "." end

-- The kernel's figures of the connection, by their place in struct tcp_info's 32-bit numbers; times in µs.
local function tcp_info(place)
    return function(r)
        local value = sysinfo.tcp_info(r.stream.fd, place)
        return value and format("%d", value)
    end
end
get.tcpinfo_rtt = tcp_info(15)
get.tcpinfo_rttvar = tcp_info(16)
get.tcpinfo_snd_cwnd = tcp_info(18)
get.tcpinfo_rcv_space = tcp_info(22)

function get.hostname() return sysinfo.hostname() end
function get.pid() return tostring(sysinfo.getpid()) end
function get.nginx_version() return "1.27.1" end

function get.msec() return format("%.3f", clock.now()) end
function get.time_local() return os_date("%d/%b/%Y:%H:%M:%S %z", floor(clock.now())) end
function get.time_iso8601()
    local text = os_date("%Y-%m-%dT%H:%M:%S%z", floor(clock.now()))
    return sub(text, 1, -3) .. ":" .. sub(text, -2)
end
function get.date_local() return os_date("%A, %d-%b-%Y %H:%M:%S %Z", floor(clock.now())) end
function get.date_gmt() return os_date("!%A, %d-%b-%Y %H:%M:%S GMT", floor(clock.now())) end

-- Nothing speaks the PROXY protocol to this server.
for _, name in ipairs({ "addr", "port", "server_addr", "server_port" }) do
    get["proxy_protocol_" .. name] = function() return nil end
end

local prefixes = {}
function prefixes.proxy_protocol_tlv_()
    return function() return nil end
end

return { get = get, prefixes = prefixes }
