-- Owns the variables that tell of the response to the client.
-- Source: nginx, ngx_http_core_module, "Embedded Variables".
local clock = require "server.clock"
local log = require "server.log"

local format, gsub, lower, match = string.format, string.gsub, string.lower, string.match
local max = math.max
local tonumber, tostring = tonumber, tostring

local get, set, prefixes = {}, {}, {}

function get.status(r) return format("%03d", r.status) end
function get.bytes_sent(r) return tostring(r.bytes_sent) end

-- What has gone out behind the head, chunks' sizes included.
function get.body_bytes_sent(r)
    return tostring(r.upgraded and r.body_bytes_sent or max(r.bytes_sent - r.header_size, 0))
end

function get.request_completion(r) return r.done and not r.truncated and not r.aborted and "OK" or "" end
function get.request_time(r) return format("%.3f", clock.now() - r.start_time) end
function get.limit_rate(r) return format("%d", r.limit_rate or 0) end
function get.gzip_ratio(r) return r.extras and r.extras.ratio end

local UNITS = { [""] = 1, k = 1024, m = 1048576 }

-- value: bytes a second, with "k" or "m" behind it or not.
function set.limit_rate(r, value)
    local digits, unit = match(lower(value or ""), "^(%d+)([km]?)$")
    if not digits then
        return log.err('invalid $limit_rate "', value or "", '"')
    end
    r.limit_rate = tonumber(digits) * UNITS[unit]
end

function get.sent_http_content_type(r)
    return r.resp:get("content-type") or r.header_sent and r.default_type or nil
end

function get.sent_http_connection(r)
    if r.status == 101 then
        return "upgrade"
    end
    return r.keepalive and "keep-alive" or "close"
end

function get.sent_http_transfer_encoding(r)
    return r.framing == "chunked" and "chunked" or nil
end

function prefixes.sent_http_(name)
    local key = gsub(name, "_", "-")
    return function(r)
        return r.resp:joined(key)
    end
end

-- Responses have no trailers of their own here.
function prefixes.sent_trailer_()
    return function() return nil end
end

return { get = get, set = set, prefixes = prefixes }
