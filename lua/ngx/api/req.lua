-- Owns ngx.req: what the client sent, and changes to it before it goes to the upstream.
-- Source: the ngx_lua documentation, "ngx.req.*".
local current = require "server.current"
local headers = require "server.http.headers"

local lower, clean, clean_name = headers.lower, headers.clean, headers.clean_name
local exit_request = require "server.exit"

local error, type, tostring, tonumber, ipairs, pairs = error, type, tostring, tonumber, ipairs, pairs
local byte, find, gsub = string.byte, string.find, string.gsub
local decode_uri_args = require("ngx.api.querystring").decode_uri_args
local concat = table.concat

local req = {}
for name, fn in pairs(require "ngx.api.req_body") do
    req[name] = fn
end

local function request()
    local r = current.request
    if not r or not r.method then
        error(r and "API disabled in the current context" or "no request found", 3)
    end
    return r
end

function req.get_method()
    return request().method
end

local METHOD_NAMES = {
    [0x0002] = "GET", [0x0004] = "HEAD", [0x0008] = "POST", [0x0010] = "PUT", [0x0020] = "DELETE",
    [0x0040] = "MKCOL", [0x0080] = "COPY", [0x0100] = "MOVE", [0x0200] = "OPTIONS",
    [0x0400] = "PROPFIND", [0x0800] = "PROPPATCH", [0x1000] = "LOCK", [0x2000] = "UNLOCK",
    [0x4000] = "PATCH", [0x8000] = "TRACE",
}

-- id: one of ngx.HTTP_GET, …
function req.set_method(id)
    local r = request()
    local name = METHOD_NAMES[tonumber(id) or -1]
    if not name then
        error("unsupported HTTP method: " .. tostring(id), 2)
    end
    r.method = name
end

function req.http_version()
    return request().http_minor == 1 and 1.1 or 1.0
end

function req.start_time()
    return request().start_time
end

function req.is_internal()
    return request().internal
end

-- Returns a table of the request's fields (a repeated one is an array), with case-insensitive look-up
-- unless raw; "truncated" second when there were more than max (100; 0: no limit).
function req.get_headers(max, raw)
    return request().headers:to_table(max, raw)
end

-- What a changed field means for the way the request is read on.
local function note_change(r, key, value)
    if key == "host" then
        r.host_header = value
        r.host = value and value:lower():gsub(":%d*$", "") or nil
    end
end

-- value: a string, an array of them, or nil (or "") to remove the field.
function req.set_header(name, value)
    local r = request()
    if type(name) ~= "string" then
        error("bad 'name' argument: string expected, got " .. type(name), 2)
    end
    name = clean_name(name)
    r.headers_changed = true
    local h = r.headers
    local key = lower(name)
    if value == nil or value == "" then
        h:remove(key)
        return note_change(r, key, nil)
    end
    if type(value) == "table" then
        h:remove(key)
        for _, each in ipairs(value) do
            h:add(key, name, clean(each))
        end
        return note_change(r, key, value[1] and clean(value[1]))
    end
    value = clean(value)
    h:set(key, name, value)
    return note_change(r, key, value)
end

function req.clear_header(name)
    return req.set_header(name, nil)
end

-- Returns the query arguments (see ngx.decode_args).
function req.get_uri_args(max)
    local r = request()
    return decode_uri_args(r.args or "", max or 100)
end

local function hexadecimal(c)
    return ("\\x%02X"):format(byte(c))
end

local function percent(c)
    return ("%%%02X"):format(byte(c))
end

-- args: a string, or a table for ngx.encode_args.
function req.set_uri_args(args)
    local r = request()
    if type(args) == "table" then
        args = ngx.encode_args(args)
    elseif type(args) == "number" then
        args = tostring(args)
    elseif type(args) ~= "string" then
        error("string, number, or table expected, but got " .. type(args), 2)
    end
    if find(args, "[%z\1-\32\127]") then
        args = gsub(args, "[%z\1-\32\127]", percent)
    end
    r.args = args
    r.uri_changed = true
end

local JUMPS = { rewrite = true, server_rewrite = true }

-- Set the (decoded) path. jump: leave the rewrite phase and look for the location anew; does not return then.
function req.set_uri(path, jump, binary)
    local r = request()
    if type(path) ~= "string" then
        error("bad argument #1 to 'set_uri' (string expected, got " .. type(path) .. ")", 2)
    end
    if path == "" then
        error("attempt to use zero-length uri", 2)
    end
    if not binary then
        local bad = find(path, "[%z\1-\31\127]")
        if bad then
            local shown = gsub(path, "[%z\1-\31\127]", hexadecimal)
            error(("unsafe byte \"0x%02x\" in uri \"%s\" (maybe you want to set the 'binary' argument?)")
                :format(byte(path, bad), shown), 2)
        end
    end
    if jump and not JUMPS[r.phase] then
        error("API disabled in the context of " .. r.phase .. "_by_lua*", 2)
    elseif jump and r.pending > 0 then
        error("attempt to abort with pending subrequests", 2)
    end
    r.uri = path
    r.uri_changed, r.internal = true, true
    if jump then
        return exit_request(0, require("server.http.handler").jump)
    end
end

-- The request line and fields as text; without the request line when no_line.
function req.raw_header(no_line)
    local r = request()
    local h = r.headers
    local lines = {}
    if not no_line then
        lines[1] = r.method .. " " .. r.request_uri .. " HTTP/1." .. r.http_minor .. "\r\n"
    end
    for i = 1, h.n, 3 do
        lines[#lines + 1] = h[i + 1] .. ": " .. h[i + 2] .. "\r\n"
    end
    lines[#lines + 1] = "\r\n"
    return concat(lines)
end

return { req = req }
