-- Owns the functions that APISIX's runtime adds to nginx for a request's upstream: its TLS (for https and grpcs alone),
-- and what variables tell of an upstream that Lua code spoke to by itself. Source: apisix-nginx-module,
-- resty.apisix.upstream.
local current = require "server.current"
local past = require("server.vars.upstream").past
local types = require "server.tls.types"

local setmetatable, type = setmetatable, type

local _M = {}

-- Numbers for objects that tell one connection from another: an address may be another object's soon.
local numbers, last = setmetatable({}, { __mode = "k" }), 0

local function number_of(object)
    local number = numbers[object]
    if not number then
        last = last + 1
        number = last
        numbers[object] = number
    end
    return "#" .. number
end

local function own()
    local r = current.request
    local found = r.upstream_tls
    if not found then
        found = { key = "" }
        r.upstream_tls = found
    end
    return found
end

-- Show this certificate (a chain and a key of ngx.ssl). Returns true, or nil and an error text.
function _M.set_cert_and_key(chain, key)
    if not types.fits("chain", chain) or not types.fits("key", key) then
        return nil, "certificate and key must be cdata of ngx.ssl"
    end
    local tls = own()
    tls.chain, tls.pkey = chain, key
    tls.key = tls.key .. number_of(chain) .. number_of(key)
    return true
end

-- Trust this X509_STORE * alone. Returns true, or nil and an error text.
function _M.set_ssl_trusted_store(store)
    if not types.fits("store", store) then
        return nil, "the store must be cdata"
    end
    local tls = own()
    tls.store = store
    tls.key = tls.key .. number_of(store)
    return true
end

-- Whether the upstream's certificate is verified. Returns true, or nil and an error text.
function _M.set_ssl_verify(verify)
    if type(verify) ~= "boolean" then
        return nil, "verify must be a boolean"
    end
    local tls = own()
    tls.verify = verify
    tls.key = tls.key .. (verify and "#v" or "#n")
    return true
end

local function milliseconds(value)
    return value and value >= 0 and value / 1000 or nil
end

-- Tell of a try of an upstream, behind those so far, by the variables $upstream_…. opts: addr ("HOST:PORT"), status,
-- connect_time, header_time (milliseconds; nil: unknown). Returns true, or nil and an error text.
function _M.push_upstream_state(opts)
    local r = current.request
    if type(opts) ~= "table" then
        return nil, "opts must be a table"
    elseif not r then
        return nil, "no request found"
    elseif opts.addr ~= nil and type(opts.addr) ~= "string" then
        return nil, "addr must be a string"
    end
    local addr, status = opts.addr or "", opts.status or 0
    if r.upstream_addr then
        r.upstream_past = past(r)
        addr, status = r.upstream_addr .. ", " .. addr, (r.upstream_status or "-") .. ", " .. status
    end
    r.upstream_addr, r.upstream_status = addr, status
    r.upstream_connect_time, r.upstream_header_time = milliseconds(opts.connect_time), milliseconds(opts.header_time)
    r.upstream_response_time, r.upstream_response_length = nil, 0
    r.upstream_bytes_received, r.upstream_bytes_sent = 0, 0
    return true
end

-- Tell more of the last try. opts: response_time (milliseconds), response_length (bytes). Returns as the former.
function _M.update_upstream_state(opts)
    local r = current.request
    if type(opts) ~= "table" then
        return nil, "opts must be a table"
    elseif not r then
        return nil, "no request found"
    elseif not r.upstream_addr then
        return nil, "error while updating upstream state"
    end
    r.upstream_response_time = milliseconds(opts.response_time) or r.upstream_response_time
    local length = opts.response_length
    if length and length >= 0 then
        r.upstream_response_length = length
    end
    return true
end

return _M
