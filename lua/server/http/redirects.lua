-- Owns internal redirects: another URI or a named location for a request, at most ten times, and the pages
-- of errors, which are such redirects. Must never run a phase: the handler goes on with what is returned.
-- Mirrors ngx_http_internal_redirect, ngx_http_named_location and ngx_http_send_error_page.
local log = require "server.log"
local CLOSING = require("server.http.output").CLOSING
local uris = require "server.http.uri"
local vars = require "server.vars"

local type = type
local byte, find, sub = string.byte, string.find, string.sub

local MAX = 10
local SLASH, AT = 47, 64

local _M = {}

-- What belonged to the way up to here is gone, as nginx clears its modules' contexts.
local function leave(r)
    r.ctx = nil
    r.internal, r.uri_changed = true, true
end

-- One more change of the URI. what: ends the log line if that is one too many. Returns whether it may be.
local function count(r, what, target)
    r.turns = r.turns + 1
    if r.turns <= MAX then
        return true
    end
    log.err("rewrite or internal redirection cycle while ", what, ' "', target, '"')
    return false
end

-- r's URI was changed in the rewrite phase, and its location is to be looked for anew. Returns true, or
-- nil and the status to answer with.
function _M.jump(r)
    if not count(r, "processing", r.uri) then
        return nil, 500
    end
    r.location = r.server.outer
    return true
end

-- Make uri and args (nil: none) those of r. Returns and logs as jump().
function _M.to_uri(r, uri, args)
    if not count(r, "internally redirecting to", uri) then
        return nil, 500
    end
    leave(r)
    r.uri, r.args = uri, args
    r.location = r.server.outer
    return true
end

-- Make the location of that name ("@name") r's. Returns and logs as jump().
function _M.to_name(r, name)
    if not count(r, "redirect to named location", name) then
        return nil, 500
    end
    if r.uri == "" then
        log.err('empty URI in redirect to named location "', name, '"')
        return nil, 500
    end
    local location = r.server.named[name]
    if not location then
        log.err('could not find named location "', name, '"')
        return nil, 500
    end
    leave(r)
    r.location = location
    return true
end

local function split(target)
    local question = find(target, "?", 1, true)
    if question then
        return sub(target, 1, question - 1), sub(target, question + 1)
    end
    return target, nil
end

-- Is there a page of its own for this status of r?
function _M.has_page(r, code)
    local pages = r.location.error_pages
    return pages ~= nil and pages[code] ~= nil and not r.error_page and r.turns <= MAX and not r.parent
end

-- r failed with that status, which has_page(): make its page's URI r's. Returns "uri" or "name" when r is to
-- go on there, "answer" and a status when that is to be answered (a redirect of the client), nil and a
-- status when it failed.
function _M.to_page(r, code)
    local page = r.location.error_pages[code]
    r.error_page = not r.settings.recursive_error_pages
    if CLOSING[code] then
        r.keepalive = false
    end
    if page.status ~= 0 then -- else it is the page's, or what was set before
        r.status, r.status_held = page.status or code, true
    end
    r.resp:remove("content-type")
    r.resp:remove("content-length")
    local target = page.target
    if type(target) == "function" then
        target = target(r) or ""
    end
    local first = byte(target)
    if first == AT then
        local ok, err = _M.to_name(r, target)
        return ok and "name", err
    elseif first == SLASH then
        r.method = r.method == "HEAD" and "HEAD" or "GET"
        local ok, err = _M.to_uri(r, split(target))
        return ok and "uri", err
    end
    r.error_page = true
    r.resp:set("location", "Location", target)
    code = page.status or code
    return "answer", (code >= 301 and code <= 303 or code == 307 or code == 308) and code or 302
end

local get_host, get_port, get_scheme = vars.getter("host"), vars.getter("server_port"), vars.getter("scheme")

-- The address that a client is sent to for a path of this server: with scheme, host and port.
function _M.absolute(r, path)
    local scheme, port = get_scheme(r), get_port(r)
    local usual = scheme == "https" and "443" or "80"
    local target = scheme .. "://" .. get_host(r) .. (port == usual and "" or ":" .. port) .. uris.escape_path(path)
    return r.args and r.args ~= "" and target .. "?" .. r.args or target
end

return _M
