-- Owns the request that goes to an upstream: its head, written from the client's and from the
-- application's `proxy` table (nginx's proxy_* directives), and its body.
local buffer = require "string.buffer"
local conditional = require "server.http.conditional"
local ffi = require "ffi"
local headers = require "server.http.headers"
local proxy_body = require "server.http.proxy_body"
local request_body = require "server.http.request_body"
local template = require "server.http.template"
local uri = require "server.http.uri"

local lower, clean = headers.lower, headers.clean
local ipairs, setmetatable, tonumber = ipairs, setmetatable, tonumber
local match = string.match

local _M = {}

local out = buffer.new(4096) -- written and sent without a wait in between, so one is enough

-- Fields of the client's request that are not passed on as they are.
local HOP = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true,
    ["transfer-encoding"] = true, ["upgrade"] = true, ["trailer"] = true, ["expect"] = true,
    ["content-length"] = true,
}

local SECURE = { https = true, grpcs = true }

-- proxy: {scheme = "https" or "$var…", uri = "$var…", set_header = {{name, "value with $vars"}, …}}.
local function compile(proxy)
    local skip = {}
    for key, hop in pairs(HOP) do
        skip[key] = hop
    end
    local set = {}
    for _, pair in ipairs(proxy.set_header or { { "Host", "$proxy_host" } }) do
        local name, value = pair[1], pair[2]
        skip[lower(name)] = true
        set[#set + 1] = name .. ": "
        set[#set + 1] = template.compile(value)
    end
    local old = proxy.http_version == "1.0"
    local next_on, next_codes = {}, nil
    for _, condition in ipairs(proxy.next_upstream or { "error", "timeout" }) do
        next_on[condition] = true
        local code = tonumber(match(condition, "^http_(%d%d%d)$"))
        if code then
            next_codes = next_codes or {}
            next_codes[code] = true
        end
    end
    return {
        scheme = proxy.scheme and template.compile(proxy.scheme) or nil,
        intercepts = proxy.intercept_errors or false,
        uri = proxy.uri and template.compile(proxy.uri) or nil,
        http_minor = old and 0 or 1, version = old and " HTTP/1.0\r\n" or " HTTP/1.1\r\n",
        set = set, checked = {}, skip = skip, next_on = next_on, next_codes = next_codes,
        tries_limit = proxy.next_upstream_tries or 0, ignores_abort = proxy.ignore_client_abort or false,
        pass_headers = proxy.pass_request_headers ~= false, pass_body = proxy.pass_request_body ~= false,
    }
end

-- The program of r's location, compiled when it is first needed.
local function program(r)
    local location = r.location
    local found = location.program
    if not found then
        found = compile(location.proxy or {})
        location.program = found
    end
    return found
end

-- Does a request go on at its upstream when its client is gone?
function _M.ignores_abort(r)
    return program(r).ignores_abort
end

-- Does the application's page for an error replace a response with that status?
function _M.intercepts(r)
    return program(r).intercepts
end

-- Is r's upstream to be spoken to over TLS?
function _M.is_secure(r)
    local scheme = program(r).scheme
    return scheme ~= nil and SECURE[scheme(r)] == true
end

-- The statuses of a response to r after which the next peer is tried (a set), or nil.
function _M.next_codes(r)
    return program(r).next_codes
end

-- How many peers may be tried for r, 0: as many as the balancer phase says.
function _M.tries_limit(r)
    return program(r).tries_limit
end

-- Is the next peer tried after a failure of that kind: "error", "timeout", "invalid_header"?
function _M.next_on(r, kind)
    return program(r).next_on[kind]
end

local function default_target(r)
    if not r.uri_changed then
        return r.request_uri
    end
    local path = uri.escape_path(r.uri)
    if r.args and r.args ~= "" then
        return path .. "?" .. r.args
    end
    return path
end

-- The method that r's upstream is asked with.
function _M.method(r)
    return r.extras and r.extras.method or r.method
end

-- The fields that are not passed on where the answer may be kept for others: it must be the whole one.
local function skip_for_cache(p)
    local skip = p.cache_skip
    if not skip then
        skip = setmetatable({ ["range"] = true, ["if-range"] = true }, { __index = p.skip })
        for _, key in ipairs(conditional.FIELDS) do
            skip[key] = true
        end
        p.cache_skip = skip
    end
    return skip
end

local function write_head(r)
    local p = program(r)
    local target = p.uri and p.uri(r)
    if not target or target == "" then
        target = default_target(r)
    end
    if target ~= r.request_uri then -- that one was checked
        target = uri.clean_target(target)
    end
    r.upstream_target = target
    out:reset()
    out:put(_M.method(r), " ", target, p.version)
    local set, checked = p.set, p.checked
    for i = 1, #set, 2 do
        local value = set[i + 1](r)
        if value and value ~= "" then
            if checked[i] ~= value then
                value = clean(value)
                checked[i] = value
            end
            out:put(set[i], value, "\r\n")
        end
    end
    local h, skip, nominated = r.headers, p.skip, r.nominated
    if r.extras and r.extras.cache then
        skip = skip_for_cache(p)
    end
    for i = 1, p.pass_headers and h.n or 0, 3 do
        local key = h[i]
        if not skip[key] and not (nominated and nominated[key]) then
            out:put(h[i + 1], ": ", h[i + 2], "\r\n")
        end
    end
end

-- The head of the request that goes to r's upstream, but for what says how long the body is and its end.
function _M.head(r)
    write_head(r)
    return out:get()
end

-- May the request be sent again, body included?
function _M.repeatable(r)
    return r.body_data ~= nil or r.body_file ~= nil or r.body == nil or r.body.received == 0
end

local function send_out(r, connection, seconds)
    local stream = connection.stream
    local pointer, size = out:ref()
    r.upstream_bytes_sent = size
    local n, err = stream:send_some(pointer, size)
    if n == size then
        return true
    elseif not n and err ~= "again" then
        return nil, err
    end
    return stream:send_text(ffi.string(pointer + (n or 0), size - (n or 0)), seconds)
end

-- Send r's request over connection; a body that is still arriving is passed on by a task of its own
-- (r.pump), so that an early answer is heard. Returns true, or nil and why not.
function _M.send(r, connection, peer)
    if r.body and r.body.chunked and program(r).http_minor == 0 then -- it knows no chunks
        local ok, err = request_body.read(r)
        if not ok then
            r.body_failure = err
            return nil, err
        end
    end
    write_head(r)
    local body, data = r.body, r.body_data
    if not program(r).pass_body then
        out:put("\r\n")
        return send_out(r, connection, peer.send_timeout)
    elseif data then
        out:put("Content-Length: ", #data, "\r\n\r\n", data)
        return send_out(r, connection, peer.send_timeout)
    elseif r.body_file then
        out:put("Content-Length: ", r.body_file.size, "\r\n\r\n")
    elseif not body or body.done or r.body_discarded then
        out:put(r.content_length and "Content-Length: 0\r\n\r\n" or "\r\n")
        return send_out(r, connection, peer.send_timeout)
    elseif body.chunked then
        out:put("Transfer-Encoding: chunked\r\n\r\n")
    else
        out:put("Content-Length: ", r.content_length, "\r\n\r\n")
    end
    local ok, err = send_out(r, connection, peer.send_timeout)
    if ok then
        proxy_body.start(r, connection, peer.send_timeout)
    end
    return ok, err
end

return _M
