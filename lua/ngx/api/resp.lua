-- Owns the families ngx.header and ngx.resp. Source: the ngx_lua documentation.
local argcheck = require "server.argcheck"
local headers = require "server.http.headers"
local log = require "server.log"
local resp_header = require "ngx.api.resp_header"
local running = require "ngx.api.running"

local content_type = resp_header.content_type
local put = headers.put
local setmetatable, type = setmetatable, type

-- The fields that the server itself puts into a response, as far as they are known. Returns how many.
local function put_own(r, into)
    local count = 1
    into["connection"] = r.status == 101 and "upgrade" or r.keepalive and "keep-alive" or "close"
    local own_type = content_type(r)
    if own_type then
        into["content-type"] = own_type
        count = count + 1
    end
    if r.framing == "chunked" then
        into["transfer-encoding"] = "chunked"
        count = count + 1
    end
    return count
end

local MAX_HEADERS = 100

-- Returns a table of the response's fields (a repeated one is an array), with case-insensitive look-up unless
-- raw; "truncated" second when there were more than max (100; 0: no limit).
local function get_headers(max, raw)
    local r = running(2)
    max = max or MAX_HEADERS
    if type(max) ~= "number" then
        argcheck.fail(1, 1, "number expected, got " .. type(max))
    end
    local resp, into = r.resp, raw and {} or setmetatable({}, headers.FOLDING)
    local own = put_own(r, into)
    local room = max > 0 and max - own or resp.n
    for i = 1, resp.n, 3 do
        if resp[i] ~= "content-type" and resp[i + 2] ~= "" then
            put(into, raw and resp[i + 1] or resp[i], resp[i + 2])
            room = room - 1
            if room <= 0 then
                break
            end
        end
    end
    local count = resp.n / 3 - (resp:get("content-type") and 1 or 0)
    if max > 0 and count + own > max then
        log.debug("lua exceeding response header limit ", count + own, " > ", max)
        return into, "truncated"
    end
    return into
end

return { header = resp_header.header, resp = { get_headers = get_headers } }
