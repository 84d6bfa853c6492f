-- Owns the module ngx.ocsp: stapling in ssl_certificate_by_lua*. Source: lua-resty-core, ngx.ocsp.
local current = require "server.current"
local ocsp = require "server.tls.ocsp"

local error, sub = error, string.sub

local SIZE_MAX = 4096 -- what results may be long, unless told otherwise

local _M = { version = "0.1.32" }

-- The URL of the responder for the leaf of a chain (DER, the issuer next to the leaf). max: its bytes at most.
-- Returns nil when there is none; what fits and "truncated"; or nil and an error text.
function _M.get_ocsp_responder_from_der_chain(chain, max)
    local url, err = ocsp.responder(chain)
    if url and #url > (max or SIZE_MAX) then
        return sub(url, 1, max or SIZE_MAX), "truncated"
    elseif url then
        return url
    end
    return nil, err
end

-- The bytes of the question. max: how many at most. Returns nil and an error text when it cannot be made.
function _M.create_ocsp_request(chain, max)
    local bytes, err = ocsp.request(chain)
    if bytes and #bytes > (max or SIZE_MAX) then
        return nil, "output buffer too small: " .. #bytes .. " > " .. (max or SIZE_MAX)
    end
    if bytes then
        return bytes
    end
    return nil, err
end

-- Does the answer say that the chain's leaf is good? max: of the error text's bytes. Returns true and, where it is
-- known, when it says so no longer (seconds since the epoch); or nil and an error text.
function _M.validate_ocsp_response(answer, chain, max)
    local ok, result = ocsp.validate(answer, chain)
    if not ok then
        return nil, sub(result, 1, max or SIZE_MAX)
    end
    return true, result
end

-- Give the client the answer in the handshake. Returns true, and "no status req" when it has not asked for it; or
-- nil and an error text.
function _M.set_ocsp_status_resp(answer)
    local r = current.request
    if not r then
        error("no request found", 2)
    elseif not r.stream or not r.stream.ssl then
        return nil, "bad request"
    end
    local ok, err = ocsp.staple(r.stream.ssl, answer)
    if ok and not err and r.handshake then
        r.handshake.has_status = true
    end
    return ok, err
end

return _M
