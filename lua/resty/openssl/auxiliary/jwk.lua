-- Owns the module resty.openssl.auxiliary.jwk: keys as JSON Web Keys (RFC 7517; fffonion/lua-resty-openssl).
local ffi = require "ffi"
local base64 = require "ngx.base64"
local cjson = require "cjson.safe"
local bn = require "resty.openssl.bn"
local curves = require "resty.openssl.pkey.curves"
local digest = require "resty.openssl.digest"
local library = require "resty.openssl.pkey.library"
local making = require "resty.openssl.pkey.making"
local parameters = require "resty.openssl.pkey.parameters"
local params = require "resty.openssl.params"

local decode, encode = base64.decode_base64url, base64.encode_base64url
local format_error = require("resty.openssl.err").format_error
local gsub, ipairs, pairs, rep, type = string.gsub, ipairs, pairs, string.rep, type

local _M = {}

-- Names in a JWK -> names of OpenSSL; what a public key has.
local RSA = {
    n = "n", e = "e", d = "d", p = "rsa-factor1", q = "rsa-factor2", dp = "rsa-exponent1", dq = "rsa-exponent2",
    qi = "rsa-coefficient1",
}
local RSA_PUBLIC = { n = "n", e = "e" }
local RSA_NAMES = { n = "n", e = "e", d = "d", p = "p", q = "q", dp = "dmp1", dq = "dmq1", qi = "iqmp" }
local PRIVATE = { d = true, p = true, q = true, dp = true, dq = true, qi = true }
local KINDS = { group = params.UTF8, pub = params.OCTETS, priv = params.OCTETS }
local OKP = { Ed25519 = true, X25519 = true, Ed448 = true, X448 = true }

-- The bytes of a member, nil when it is absent; nil and an error when they cannot be read.
local function bytes_of(jwk, name)
    local text = jwk[name]
    if type(text) ~= "string" then
        return nil
    end
    local found = decode((gsub(text, "=+$", "")))
    if not found then
        return nil, 'cannot decode parameter "' .. name .. '" from base64 ' .. text
    end
    return found
end

local function missing(name)
    return nil, 'missing required parameter "' .. name .. '"'
end

local function load_rsa(jwk, public, properties)
    local values, numbers = {}, {}
    for name, theirs in pairs(public and RSA_PUBLIC or RSA) do
        local bytes, err = bytes_of(jwk, name)
        if err then
            return nil, err
        elseif not bytes and RSA_PUBLIC[name] then
            return missing(name)
        elseif bytes then
            numbers[name] = bn.from_binary(bytes)
            values[theirs] = numbers[name].ctx
        end
    end
    return making.of_values("RSA", values, KINDS, values.d ~= nil, properties)
end

local function coordinate(jwk, name, size)
    local bytes, err = bytes_of(jwk, name)
    if not bytes then
        return missing(name, err)
    elseif #bytes > size then
        return nil, "pad_ec_coordinate: coordinate length " .. #bytes .. " is longer than expected " .. size
    end
    return rep("\0", size - #bytes) .. bytes
end

local function load_ec(jwk, public, properties)
    if type(jwk.crv) ~= "string" then
        return missing("crv")
    end
    local size = curves.size(jwk.crv)
    if not size then
        return nil, "pad_ec_coordinate: unsupported curve " .. jwk.crv
    end
    local x, err = coordinate(jwk, "x", size)
    if not x then
        return nil, err
    end
    local y, private
    y, err = coordinate(jwk, "y", size)
    if not y then
        return nil, err
    end
    private, err = bytes_of(jwk, "d")
    if err then
        return nil, err
    end
    private = not public and private and bn.from_binary(private) or nil
    local values = { group = curves.of_jose(jwk.crv), pub = "\4" .. x .. y, priv = private and private.ctx }
    return making.of_values("EC", values, KINDS, private ~= nil, properties)
end

local function load_okp(jwk, public, properties)
    local kind = jwk.crv
    if type(kind) ~= "string" then
        return nil, 'missing "crv" parameter from OKP JWK'
    elseif not OKP[kind] then
        return nil, "EVP_PKEY_CTX_new_from_name() failed"
    end
    local x, x_err = bytes_of(jwk, "x")
    local d, d_err = bytes_of(jwk, "d")
    if x_err or d_err then
        return nil, x_err or d_err
    elseif not x and not d then
        return nil, 'missing at least one of "x" or "d" parameter from OKP JWK'
    end
    if public and not x then
        local whole, err = making.of_values(kind, { priv = d }, KINDS, true, properties)
        if not whole then
            return nil, err
        end
        x = parameters.get(ffi.gc(whole, library.EVP_PKEY_free), kind, "public")
    end
    local values = public and { pub = x } or { pub = x, priv = d }
    return making.of_values(kind, values, KINDS, values.priv ~= nil, properties)
end

local loaders = { RSA = load_rsa, EC = load_ec, OKP = load_okp }

-- text: a JWK as JSON; kind: "pu" for the public part alone. Returns a struct evp_pkey_st *, or nil and an error.
function _M.load_jwk(text, kind, properties)
    local jwk, err = cjson.decode(text)
    local key
    if jwk == nil then
        err = "error decoding JSON from JWK: " .. err
    elseif type(jwk) ~= "table" then
        err = "except input to be decoded as a table, got " .. type(jwk)
    elseif type(jwk.kty) ~= "string" then
        err = 'missing "kty" parameter from JWK'
    elseif not loaders[jwk.kty] then
        err = 'not yet supported jwk type "' .. jwk.kty .. '"'
    else
        key, err = loaders[jwk.kty](jwk, kind == "pu", properties)
    end
    if not key then
        return nil, "jwk:load_jwk: " .. err
    end
    return key
end
_M.load_jwk_ex = _M.load_jwk

local function dump_rsa(key, private)
    local found = { kty = "RSA" }
    for name, theirs in pairs(RSA_NAMES) do
        local value = (private or not PRIVATE[name]) and parameters.get(key, "RSA", theirs)
        found[name] = value and encode(value:to_binary()) or nil
    end
    return found
end

local function dump_ec(key, private)
    local name = parameters.group_name(key)
    local found, size = { kty = "EC", crv = curves.to_jose(name) }, curves.size(name)
    for _, each in ipairs { "x", "y" } do
        found[each] = encode(parameters.get(key, "EC", each):to_binary(size))
    end
    found.d = private and encode(parameters.get(key, "EC", "private"):to_binary(size)) or nil
    return found
end

local function dump_okp(key, private, kind)
    return {
        kty = "OKP", crv = kind, x = encode(parameters.get(key, kind, "public")),
        d = private and encode(parameters.get(key, kind, "private")) or nil,
    }
end

local dumpers = { RSA = dump_rsa, EC = dump_ec, Ed25519 = dump_okp, X25519 = dump_okp, Ed448 = dump_okp,
    X448 = dump_okp }

-- A pkey as a JWK: JSON, "kid" its SHA-256. Returns nil and an error if that cannot be.
function _M.dump_jwk(pkey, private)
    if private and not pkey:is_private() then
        return nil, "jwk.dump_jwk: could not dump public key as private key"
    end
    local kind = pkey.type_name
    local dump = kind and (dumpers[kind] or dumpers[kind:sub(1, 1) .. kind:sub(2):lower()])
    if not dump then
        return nil, "jwk.dump_jwk: not implemented for this key type"
    end
    local found = dump(pkey.ctx, private, kind:sub(1, 1) .. kind:sub(2):lower())
    local der, err = pkey:tostring(private and "private" or "public", "DER")
    if not der then
        return nil, "jwk.dump_jwk: " .. (err or format_error())
    end
    found.kid = encode(digest.new("sha256"):final(der))
    return cjson.encode(found)
end

return _M
