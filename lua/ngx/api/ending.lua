-- Owns the functions that end a phase or a request: ngx.exit, ngx.redirect. Source: the ngx_lua documentation.
local argcheck = require "server.argcheck"
local contexts = require "server.contexts"
local current = require "server.current"
local exit_request = require "server.exit"
local log = require "server.log"

local byte, find, gsub = string.byte, string.find, string.gsub
local check_integer, check_string, fail = argcheck.check_integer, argcheck.check_string, argcheck.fail
local error, select, type = error, select, type

local AGAIN, DONE, ERROR = -2, -4, -1

local _M = {}

local ENDS_ALL = { [ERROR] = true, [408] = true, [444] = true, [499] = true } -- subrequests under way too

local REFUSED = {
    body_filter = true, log = true, set = true, init_worker = true, exit_worker = true,
}

-- Does not return, but in the phases that cannot stop in the middle (balancer, header_filter): those note what the
-- request is to end with.
function _M.exit(code)
    if type(code) ~= "number" then
        fail(1, 1, "number expected, got " .. type(code))
    end
    local r = current.request
    if not r then
        error(contexts.no_request("no request found"), 2)
    end
    code = code - code % 1
    if code == AGAIN or code == DONE then
        error("bad argument to 'ngx.exit': does not accept NGX_AGAIN or NGX_DONE", 2)
    end
    local phase = r.phase
    if phase == "header_filter" then
        if code == ERROR then
            error("ngx.exit(ngx.ERROR) in header_filter", 2)
        end
        r.filter_exit = code > 0 and code or nil
        return
    elseif phase == "balancer" then
        r.balancer.exit_code = code >= 300 and code or nil
        return
    elseif REFUSED[phase] then
        error(contexts.refusal(r), 2)
    end
    if r.pending and r.pending > 0 and not ENDS_ALL[code] then
        error("attempt to abort with pending subrequests", 2)
    end
    if r.header_sent and code >= 300 and r.status ~= code and not ENDS_ALL[code] then
        log.err("attempt to set status ", code, " via ngx.exit after sending out the response status ", r.status)
    end
    return exit_request(code)
end

local MAKERS = {
    server_rewrite = true, rewrite = true, access = true, precontent = true, content = true,
}
local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

local function shown(c)
    return ("\\x%02X"):format(byte(c))
end

local function check_uri(uri)
    local bad = find(uri, "[%z\1-\31\127]")
    if bad then
        local text = gsub(uri, '[%z\1-\31"\\\127-\255]', shown) -- as ngx_http_lua_escape_log has it
        error(('unsafe byte "0x%02x" in redirect uri "%s"'):format(byte(uri, bad), text), 3)
    end
end

-- Does not return. redirect(uri, status?): status is 302 unless given.
function _M.redirect(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting one or two arguments", 2)
    end
    local uri, status = ...
    uri = check_string(1, 1, uri, n)
    status = n == 1 and 302 or check_integer(1, 2, status, n)
    if not REDIRECTS[status] then
        error("only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_PERMANENT_REDIRECT, "
            .. "ngx.HTTP_SEE_OTHER, and ngx.HTTP_TEMPORARY_REDIRECT are allowed", 2)
    end
    local r = current.request
    if not r then
        error(contexts.no_request("no request object found"), 2)
    elseif not MAKERS[r.phase] then
        error(contexts.refusal(r), 2)
    elseif r.pending > 0 then
        error("attempt to abort with pending subrequests", 2)
    elseif r.header_sent then
        error("attempt to call ngx.redirect after sending out the headers", 2)
    end
    check_uri(uri)
    r.resp:set("location", "Location", uri)
    return exit_request(status)
end

return _M
