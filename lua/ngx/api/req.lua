-- Owns ngx.req: gathers its families, and what is asked of a request as a whole. Source: the ngx_lua
-- documentation, "ngx.req.*".
local running = require "ngx.api.running"

local error, ipairs, pairs, type = error, ipairs, pairs, type
local find, sub = string.find, string.sub

local req = {}

for _, family in ipairs({ "req_body", "req_headers", "req_uri" }) do
    for name, fn in pairs(require("ngx.api." .. family)) do
        req[name] = fn
    end
end

local METHODS = {
    [0x0002] = "GET", [0x0004] = "HEAD", [0x0008] = "POST", [0x0010] = "PUT", [0x0020] = "DELETE",
    [0x0040] = "MKCOL", [0x0080] = "COPY", [0x0100] = "MOVE", [0x0200] = "OPTIONS",
    [0x0400] = "PROPFIND", [0x0800] = "PROPPATCH", [0x1000] = "LOCK", [0x2000] = "UNLOCK",
    [0x4000] = "PATCH", [0x8000] = "TRACE",
}

function req.get_method()
    return running(2).method
end

-- id: one of ngx.HTTP_GET, …
function req.set_method(id)
    local r = running(2)
    if type(id) ~= "number" then
        error("bad method number", 2)
    end
    local name = METHODS[id]
    if not name then
        error("unsupported HTTP method: " .. id, 2)
    end
    r.method = name
end

function req.http_version()
    return running(2).http_minor == 1 and 1.1 or 1.0
end

-- Seconds since the epoch, with milliseconds, at which the request began.
function req.start_time()
    return running(2).start_time
end

function req.is_internal()
    return running(2).internal or false
end

-- The head of the client's request as it came, whatever was changed since; without the request line when
-- no_request_line.
function req.raw_header(no_request_line)
    local raw = running(2).conn.head:tostring()
    if no_request_line then
        local line_end = find(raw, "\n", 1, true)
        return line_end and sub(raw, line_end + 1) or ""
    end
    return raw
end

return { req = req }
