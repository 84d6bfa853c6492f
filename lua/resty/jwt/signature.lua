-- Owns the signatures of tokens (RFC 7515): HS256, HS512, RS256, RS512, ES256, ES512. Must never take a public key for
-- a shared secret: everybody could sign with it.
local encoding = require "resty.jwt.encoding"
local evp = require "resty.evp"
local hmac = require "resty.hmac"

local fail = encoding.fail
local find, tostring, type = string.find, tostring, type

local CONST = evp.CONST
local SHARED = { HS256 = hmac.ALGOS.SHA256, HS512 = hmac.ALGOS.SHA512 }
local KEYS = {
    RS256 = { digest = CONST.SHA256_DIGEST, signer = evp.RSASigner, verifier = evp.RSAVerifier },
    RS512 = { digest = CONST.SHA512_DIGEST, signer = evp.RSASigner, verifier = evp.RSAVerifier },
    ES256 = { digest = CONST.SHA256_DIGEST, signer = evp.ECSigner, verifier = evp.ECVerifier, raw = true },
    ES512 = { digest = CONST.SHA512_DIGEST, signer = evp.ECSigner, verifier = evp.ECVerifier, raw = true },
}

local _M = {}

-- Does that algorithm use a shared secret?
function _M.is_shared(alg)
    return SHARED[alg] ~= nil
end

-- Does it use a pair of keys?
function _M.is_of_keys(alg)
    return KEYS[alg] ~= nil
end

-- The shared secret: text, or a function of the token's "kid".
local function shared_secret(secret, header)
    if type(secret) == "function" then
        if header.kid == nil then
            fail("secret function specified without kid in header")
        end
        secret = secret(header.kid) or fail("function returned nil for kid: " .. tostring(header.kid))
    end
    if type(secret) ~= "string" then
        fail("invalid secret type (must be string or function)")
    elseif find(secret, "-----BEGIN [%u%d ]*PUBLIC KEY-----") or find(secret, "-----BEGIN [%u ]*CERTIFICATE-----") then
        fail("a public key is no secret for " .. header.alg)
    end
    return secret
end

-- The signature of message as bytes. secret: of HS…, text or a function; else a private key as PEM. Raises {reason}.
function _M.make(secret, header, message)
    local alg = header.alg
    if SHARED[alg] then
        return hmac:new(shared_secret(secret, header), SHARED[alg]):final(message)
    end
    local kind = KEYS[alg]
    if type(secret) == "function" then
        fail("secret function can only be used with hmac alg: " .. tostring(alg))
    elseif not kind then
        fail("unsupported alg: " .. tostring(alg))
    end
    local signer, err = kind.signer:new(secret)
    if not signer then
        fail("signer error: " .. err)
    end
    local signature
    signature, err = signer:sign(message, kind.digest)
    if signature and kind.raw then
        signature, err = signer:get_raw_sig(signature)
    end
    return signature or fail("signature error: " .. tostring(err))
end

-- What the token is to be verified with: the certificate it carries if it is trusted, or the secret as a certificate or
-- a public key. Returns it, or nil and the reason.
function _M.key_of(secret)
    local source
    if type(secret) == "string" and find(secret, "CERTIFICATE", 1, true) then
        source = evp.Cert:new(secret)
    elseif type(secret) == "string" and find(secret, "PUBLIC KEY", 1, true) then
        source = evp.PublicKey:new(secret)
    end
    if not source then
        return nil, "Decode secret is not a valid cert/public key"
    end
    return source
end

-- Why that is not the signature of message, or nil. source: of key_of; signature: as in the token.
function _M.flaw(source, alg, message, signature)
    local bytes = encoding.decode(signature)
    if not bytes then
        return "Wrongly encoded signature"
    end
    local kind = KEYS[alg]
    local ok, err = kind.verifier:new(source):verify(message, bytes, kind.digest)
    if not ok then
        return err
    end
    return nil
end

return _M
