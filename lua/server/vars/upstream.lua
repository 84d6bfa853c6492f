-- Owns the variables that tell of the upstream servers that a request was sent to. What is told for each
-- try stands in a row: "0.002, 0.001", with "-" for what a try did not come to.
-- Source: nginx, ngx_http_upstream_module and ngx_http_proxy_module, "Embedded Variables".
local format, gsub, lower, match = string.format, string.gsub, string.lower, string.match
local pairs, tostring = pairs, tostring

local get, prefixes = {}, {}

function get.upstream_addr(r) return r.upstream_addr end
function get.upstream_status(r) return r.upstream_status and tostring(r.upstream_status) end

local function seconds(value)
    return value and format("%.3f", value)
end

-- What field says of the present try, behind what r.upstream_past says of those before it.
local function in_a_row(field, show)
    return function(r)
        if not r.upstream_addr then
            return nil
        end
        local past, value = r.upstream_past, r[field]
        value = value and show(value) or "-"
        return past and past[field] .. ", " .. value or value
    end
end
local rows = {}
for field, show in pairs({
    upstream_connect_time = seconds, upstream_header_time = seconds, upstream_response_time = seconds,
    upstream_response_length = tostring, upstream_bytes_received = tostring, upstream_bytes_sent = tostring,
}) do
    rows[field] = in_a_row(field, show)
    get[field] = rows[field]
end

function get.upstream_cache_status(r) return r.extras and r.extras.cache_status end

-- Not in nginx's hash of variables: to set one is to set one that does not exist.
local unlisted = {}

function unlisted.proxy_host(r) return r.peer and r.peer.name end
function unlisted.proxy_port(r) return r.peer and tostring(r.peer.port) end
function unlisted.proxy_add_x_forwarded_for(r)
    local forwarded = r.headers:joined("x-forwarded-for")
    return forwarded and (forwarded .. ", " .. r.remote_addr) or r.remote_addr
end

function prefixes.upstream_http_(name)
    local key = gsub(name, "_", "-")
    return function(r)
        return r.upstream_headers and r.upstream_headers:joined(key)
    end
end

function prefixes.upstream_trailer_(name)
    local key = gsub(name, "_", "-")
    return function(r)
        local trailers = r.upstream_headers and r.response_body.trailers
        return trailers and trailers:joined(key)
    end
end

function prefixes.upstream_cookie_(name)
    return function(r)
        local headers = r.upstream_headers
        for i = 1, headers and headers.n or 0, 3 do
            if headers[i] == "set-cookie" then
                local key, value = match(headers[i + 2], "^([^=; ]*) *= *([^;]*)")
                if key and lower(key) == name then
                    return value
                end
            end
        end
        return nil
    end
end

-- What there is to tell of the tries so far, for r.upstream_past.
local function past(r)
    local told = {}
    for field, tell in pairs(rows) do
        told[field] = tell(r)
    end
    return told
end

return { get = get, prefixes = prefixes, unlisted = unlisted, past = past }
