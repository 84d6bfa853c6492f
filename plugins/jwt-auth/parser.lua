-- Owns one token: reading it, its signature, its times. Must not know of consumers.
local base64 = require "ngx.base64"
local core = require "apisix.core"
local jwt = require "resty.jwt"
local mac = require "resty.openssl.mac"
local pkey = require "resty.openssl.pkey"

local error, ipairs, setmetatable, tostring, type = error, ipairs, setmetatable, tostring, type
local http_time, time = ngx.http_time, ngx.time

local PSS = pkey.PADDINGS.RSA_PKCS1_PSS_PADDING
local RAW = { ecdsa_use_raw = true }

-- What each algorithm (RFC 7518 section 3.1, RFC 8037) is made of: the digest of HMAC; or the types of keys that it
-- takes, how it signs with them and, if that is certain, the size of its signatures in bytes.
local RSA, EC, ED = { RSA = true }, { EC = true }, { ED25519 = true, ED448 = true }
local ALGORITHMS = {
    HS256 = { hmac = "sha256" }, HS384 = { hmac = "sha384" }, HS512 = { hmac = "sha512" },
    RS256 = { keys = RSA, digest = "sha256" }, RS384 = { keys = RSA, digest = "sha384" },
    RS512 = { keys = RSA, digest = "sha512" },
    PS256 = { keys = RSA, digest = "sha256", padding = PSS }, PS384 = { keys = RSA, digest = "sha384", padding = PSS },
    PS512 = { keys = RSA, digest = "sha512", padding = PSS },
    ES256 = { keys = EC, digest = "sha256", opts = RAW, size = 64 },
    ES384 = { keys = EC, digest = "sha384", opts = RAW, size = 96 },
    ES512 = { keys = EC, digest = "sha512", opts = RAW, size = 132 },
    EdDSA = { keys = ED },
}

-- Reading a key takes longer than verifying with it.
local keys = core.lrucache.new({ ttl = 3600, count = 512 })

local _M = {}
local metatable = { __index = _M }

-- The token in a string, or nil and why there is none.
function _M.new(text)
    local token = jwt:load_jwt(text)
    if not token.valid then
        return nil, token.reason
    end
    return setmetatable(token, metatable)
end

-- Is the token signed with that secret or that key? key: bytes or a public key as PEM. Returns true; or false and why
-- not.
function _M:verify_signature(key)
    local how = ALGORITHMS[self.header.alg]
    if not how then
        return false, "unsupported algorithm: " .. tostring(self.header.alg)
    end
    local signature = base64.decode_base64url(self.signature)
    if not signature then
        return false, "failed to decode signature"
    end
    local message = self.raw_header .. "." .. self.raw_payload
    if how.hmac then
        return signature == mac.new(key, "HMAC", nil, how.hmac):final(message)
    end
    local public = keys(key, nil, pkey.new, key)
    if not public or not how.keys[public.type_name] then
        return false, "Consumer Public Key is Invalid"
    elseif how.size and #signature ~= how.size then
        return false, "Signature must be " .. how.size .. " bytes."
    end
    return public:verify(signature, message, how.digest, how.padding, how.opts)
end

local flaws = {
    nbf = function(value, grace)
        return value >= time() + grace and "'nbf' claim not valid until " .. http_time(value)
    end,
    exp = function(value, grace)
        return value <= time() - grace and "'exp' claim expired at " .. http_time(value)
    end,
}
local TIMES = { "nbf", "exp" }

-- Do the times hold? claims: those that must be there ("exp", "nbf"); nil or empty: those that are there; conf:
-- lifetime_grace_period, seconds. Returns true; or false and why not.
function _M:verify_claims(claims, conf)
    local required = claims ~= nil and claims[1] ~= nil
    local grace = conf and conf.lifetime_grace_period or 0
    for _, name in ipairs(required and claims or TIMES) do
        local value = self.payload[name]
        if value == nil and required then
            return false, "claim " .. name .. " is missing"
        elseif value ~= nil and type(value) ~= "number" then
            return false, "claim " .. name .. " is not a number"
        end
        local flaw = value ~= nil and flaws[name](value, grace)
        if flaw then
            return false, flaw
        end
    end
    return true
end

local function sign(how, key, message)
    if how.hmac then
        return mac.new(key, "HMAC", nil, how.hmac):final(message)
    end
    local private, err = pkey.new(key)
    if not private then
        return nil, err
    elseif not how.keys[private.type_name] then
        return nil, "the key does not fit the algorithm"
    end
    return private:sign(message, how.digest, how.padding, how.opts)
end

-- A new token as a string. alg ("HS256"); key: a secret, or a private key as PEM; header: a table or nil; payload: a
-- table. Returns nil and the reason when that cannot be.
function _M.encode(alg, key, header, payload)
    alg = alg or "HS256"
    if not ALGORITHMS[alg] then
        return nil, "algorithm not supported"
    elseif type(key) ~= "string" then
        error("Argument #2 must be string", 2)
    elseif header and type(header) ~= "table" then
        return nil, "header must be a table"
    elseif type(payload) ~= "table" then
        return nil, "data must be a table"
    end
    local message = base64.encode_base64url(core.json.encode(header or { typ = "JWT", alg = alg })) .. "."
        .. base64.encode_base64url(core.json.encode(payload))
    local signature, err = sign(ALGORITHMS[alg], key, message)
    if not signature then
        return nil, err
    end
    return message .. "." .. base64.encode_base64url(signature)
end

return _M
