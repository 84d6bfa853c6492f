-- Owns the functions that make a response or end one: ngx.print, say, flush, eof, send_headers, exit,
-- redirect; and ngx.arg of the body filter. Source: the ngx_lua documentation.
local current = require "server.current"
local exit_request = require "server.exit"
local log = require "server.log"
local output = require "server.http.output"

local type, tostring, select, error, ipairs, setmetatable = type, tostring, select, error, ipairs, setmetatable
local byte, find, gsub = string.byte, string.find, string.gsub
local concat = table.concat

local _M = {}

local FILTERS = { header_filter = true, body_filter = true, log = true, balancer = true }

local function request()
    local r = current.request
    if not r then
        error("no request found", 3)
    elseif not r.method then
        error("API disabled in the context of ngx.timer", 3)
    end
    if FILTERS[r.phase] then
        error("API disabled in the context of " .. r.phase .. "_by_lua*", 3)
    end
    return r
end

local function append(parts, n, value)
    local kind = type(value)
    if kind == "string" then
        parts[n + 1] = value
    elseif kind == "table" then
        for _, each in ipairs(value) do
            n = append(parts, n, each)
        end
        return n
    elseif kind == "number" or kind == "boolean" or kind == "nil" or value == ngx.null then
        parts[n + 1] = value == ngx.null and "null" or tostring(value)
    else
        error("bad argument #1 to 'print' (string, number, boolean, nil, ngx.null, or array table expected, "
            .. "but got " .. kind .. ")", 3)
    end
    return n + 1
end

local function gather(...)
    local count = select("#", ...)
    if count == 1 and type((...)) == "string" then
        return (...)
    end
    local parts, n = {}, 0
    for i = 1, count do
        n = append(parts, n, (select(i, ...)))
    end
    return concat(parts)
end

local function write(r, text)
    if r.raw then
        return nil, "raw request socket acquired"
    elseif r.no_body then
        return nil, "header only"
    elseif r.ended then
        return nil, "seen eof"
    end
    local ok, err = output.write(r, text)
    if not ok then
        return nil, err == "client aborted" and err or "nginx output filter error"
    end
    return 1
end

-- Returns 1, or nil and an error text.
function _M.print(...)
    return write(request(), gather(...))
end

function _M.say(...)
    return write(request(), gather(...) .. "\n")
end

-- Sending waits for the client by itself here, so flush(true) and flush() are one. Returns 1, or nil and an error.
function _M.flush()
    local r = request()
    if r.ended then
        return nil, "seen eof"
    elseif not r.header_sent then
        return nil, "nothing to flush"
    end
    local ok, err = output.flush(r)
    if not ok then
        return nil, err
    end
    return 1
end

function _M.eof()
    local r = request()
    if r.ended then
        return nil, "seen eof"
    end
    local ok, err = output.finish(r)
    if not ok then
        return nil, err
    end
    return 1
end

function _M.send_headers()
    output.send_headers(request())
    return 1
end

-- Does not return, but in the balancer and header_filter phases, where it notes what the request ends with.
function _M.exit(code)
    local r = current.request
    code = tonumber(code) or 0
    if not r then
        error("no request found", 2)
    end
    local phase = r.phase
    if phase == "header_filter" or phase == "balancer" then
        if phase == "balancer" then
            r.balancer.exit_code = code >= 300 and code or nil
        elseif code >= 300 then
            r.filter_exit = code
        elseif code == ngx.ERROR then
            error("ngx.exit(ngx.ERROR) in header_filter", 2)
        end
        return
    elseif FILTERS[phase] then
        error("API disabled in the context of " .. phase .. "_by_lua*", 2)
    end
    if r.header_sent and code >= 300 and r.status ~= code then
        log.err("attempt to set status ", code, " via ngx.exit after sending out the response status ", r.status)
    end
    return exit_request(code)
end

local function shown(c)
    return ("\\x%02X"):format(byte(c))
end

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- Does not return. status: 302 unless given.
function _M.redirect(target, status)
    local r = request()
    if type(target) ~= "string" then
        error("bad argument #1 to 'redirect' (string expected, got " .. type(target) .. ")", 2)
    end
    status = status or 302
    if not REDIRECTS[status] then
        error("only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_PERMANENT_REDIRECT, "
            .. "ngx.HTTP_SEE_OTHER, and ngx.HTTP_TEMPORARY_REDIRECT are allowed", 2)
    end
    if r.header_sent then
        error("attempt to call ngx.redirect after sending out the headers", 2)
    end
    local bad = find(target, "[%z\1-\31\127]")
    if bad then
        local text = gsub(target, "[%z\1-\31\127]", shown)
        error(('unsafe byte "0x%02x" in redirect uri "%s"'):format(byte(target, bad), text), 2)
    end
    r.resp:set("location", "Location", target)
    return exit_request(status)
end

_M.arg = setmetatable({}, {
    __index = function(_, index)
        local r = current.request
        if not r or r.phase ~= "body_filter" then
            error("API disabled in the context of " .. (r and r.phase or "?"), 2)
        end
        if index == 1 then
            return r.arg1
        elseif index == 2 then
            return r.arg2
        end
        return nil
    end,
    __newindex = function(_, index, value)
        local r = current.request
        if not r or r.phase ~= "body_filter" then
            error("API disabled in the context of " .. (r and r.phase or "?"), 2)
        end
        if index == 1 then
            r.arg1 = value
        elseif index == 2 then
            r.arg2 = value and true or false
        else
            error("attempt to write to ngx.arg[" .. tostring(index) .. "]", 2)
        end
    end,
})

return _M
