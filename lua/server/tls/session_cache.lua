-- Owns the cache of TLS sessions that all workers share: a shared dictionary, by session id. The keys of session
-- tickets lie there, too, so that any worker takes any worker's. Source: nginx, "ssl_session_cache".
local ffi = require "ffi"
local certificate = require "server.tls.certificate"
local failure = require "server.tls.failure"
local shdict = require "ngx.shdict"
local ssl = require "server.tls.library"

local ffi_string = ffi.string
local error, setmetatable, tonumber = error, setmetatable, tonumber
local lower, match = string.lower, string.match

local SESSION_MAX = 8192 -- bytes of one that is kept
local TICKET_KEYS, TICKET_KEYS_SIZE = "ticket keys", 80
local UNITS = { [""] = 1, k = 1024, m = 1048576 }

local Cache = {}
Cache.__index = Cache

local _M = {}

local size = ffi.new("unsigned int[1]")

-- Keep a session (an SSL_SESSION *) for as long as it may be resumed.
function Cache:put(session)
    local bytes = certificate.encode(ssl.i2d_SSL_SESSION, session)
    if bytes and #bytes <= SESSION_MAX then
        local id = ssl.SSL_SESSION_get_id(session, size)
        self.dict:set(ffi_string(id, size[0]), bytes, self.seconds)
    end
end

-- The session of an id (its bytes), as an SSL_SESSION * that the caller has to free; or nil.
function Cache:get(id)
    local bytes = self.dict:get(id)
    if not bytes then
        return nil
    end
    local start = ffi.new("const unsigned char *[1]", ffi.cast("const unsigned char *", bytes))
    local session = ssl.d2i_SSL_SESSION(nil, start, #bytes)
    failure.clear()
    return session ~= nil and session or nil
end

-- The bytes that tickets are encrypted with: the same for all workers.
function Cache:ticket_keys()
    local fresh = ffi.new("unsigned char[?]", TICKET_KEYS_SIZE)
    if ssl.RAND_bytes(fresh, TICKET_KEYS_SIZE) == 1 then
        self.dict:safe_add(TICKET_KEYS, ffi_string(fresh, TICKET_KEYS_SIZE))
    end
    return self.dict:get(TICKET_KEYS)
end

-- The cache that the setting ssl_session_cache names: "shared:NAME:SIZE", maybe beside others. seconds: how long a
-- session may be resumed. Returns nil when it names none; raises when it is malformed.
function _M.of(setting, seconds)
    local rest = match(setting, "shared:(%S*)")
    if not rest then
        return nil
    end
    local name, count, unit = match(rest, "^([^:]+):(%d+)([kKmM]?)$")
    if not name then
        error('invalid session cache "shared:' .. rest .. '"', 0)
    end
    local dict = shdict.declare("ssl:" .. name, tonumber(count) * UNITS[lower(unit)], nil)
    return setmetatable({ dict = dict, seconds = seconds }, Cache)
end

return _M
