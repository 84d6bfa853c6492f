-- Owns the module resty.evp: signing, verifying and encrypting with RSA and EC keys as lua-resty-jwt offers it; what it
-- does is done by resty.openssl.
local pkey = require "resty.openssl.pkey"
local stores = require "resty.openssl.x509.store"
local x509 = require "resty.openssl.x509"

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local ipairs, setmetatable = ipairs, setmetatable

local _M = {
    _VERSION = "0.2.3",
    CONST = {
        SHA256_DIGEST = "SHA256", SHA512_DIGEST = "SHA512",
        RSA_PKCS1_PADDING = 1, RSA_SSLV23_PADDING = 2, RSA_NO_PADDING = 3, RSA_PKCS1_OAEP_PADDING = 4,
        RSA_X931_PADDING = 5, RSA_PKCS1_PSS_PADDING = 6,
    },
}
local CONST = _M.CONST
local RAW = { ecdsa_use_raw = true }

local function class(fields)
    fields.__index = fields
    return fields
end

-- Certificate (PEM or DER) and PublicKey (PEM or DER): what a verifier and an encryptor take.
local Cert, PublicKey = class {}, class {}
_M.Cert, _M.PublicKey = Cert, PublicKey

-- Returns a certificate with its public_key, or nil and an error.
function Cert.new(self, text)
    if not text then
        return nil, "Must pass a PEM or binary DER cert"
    end
    local certificate, err = x509.new(text, find(text, "-----BEGIN", 1, true) and "PEM" or "DER")
    if not certificate then
        return nil, err
    end
    local key
    key, err = certificate:get_pubkey()
    if not key then
        return nil, err
    end
    return setmetatable({ x509 = certificate, public_key = key }, self)
end

function Cert.get_der(self)
    return self.x509:tostring("DER")
end

-- The digest as "AB:CD:…"; name: "SHA256".
function Cert.get_fingerprint(self, name)
    local digest, err = self.x509:digest(name)
    if not digest then
        return nil, err
    end
    return sub(gsub(digest, ".", function(c)
        return format("%02X:", byte(c))
    end), 1, -2)
end

function Cert.get_public_key(self)
    return self.x509:get_pubkey()
end

-- Does it follow from a certificate in that PEM file? true; or false and why not.
function Cert.verify_trust(self, file)
    local store = stores.new()
    local ok, err = store:load_file(file)
    if not ok then
        return false, err
    end
    ok, err = store:verify(self.x509)
    return ok or false, err
end

-- Returns an object with the public_key, or nil and an error.
function PublicKey.new(self, text)
    if not text then
        return nil, "Must pass a PEM or binary DER public key"
    end
    local key, err = pkey.new(text, { type = "pu", format = find(text, "-----BEGIN", 1, true) and "PEM" or "DER" })
    if not key then
        return nil, err
    end
    return setmetatable({ public_key = key }, self)
end

-- new(pem, password) of a private key of that type, for a class.
local function private_key(self, type_name, pem, password, more)
    local key, err = pkey.new(pem, { type = "pr", format = "PEM", passphrase = password })
    if not key then
        return nil, err
    elseif key.type_name ~= type_name then
        return nil, "the key is no " .. type_name .. " key"
    end
    more = more or {}
    more.evp_pkey = key
    return setmetatable(more, self)
end

-- RSASigner and ECSigner: sign(message, digest) -> DER signature, or nil and an error.
local RSASigner, ECSigner = class { algo = "RSA" }, class { algo = "ECDSA" }
_M.RSASigner, _M.ECSigner = RSASigner, ECSigner

function RSASigner.new(self, pem, password)
    return private_key(self, "RSA", pem, password)
end

function ECSigner.new(self, pem, password)
    return private_key(self, "EC", pem, password)
end

for _, signer in ipairs { RSASigner, ECSigner } do
    function signer.sign(self, message, digest)
        return self.evp_pkey:sign(message, digest)
    end
end

-- A DER signature as r and s, one after the other.
function ECSigner.get_raw_sig(self, signature)
    if not signature then
        return nil, "Must pass a signature to convert"
    end
    return require("resty.openssl.auxiliary.ecdsa").sig_der2raw(signature, self.evp_pkey:order_size())
end

-- RSAVerifier and ECVerifier: new(a Cert or PublicKey); verify(message, signature, digest) -> true, or false and an
-- error. Each takes keys of its own kind only. The signature of ECVerifier is r and s, one after the other.
local RSAVerifier, ECVerifier = class { algo = "RSA" }, class { algo = "EC" }
_M.RSAVerifier, _M.ECVerifier = RSAVerifier, ECVerifier

for _, verifier in ipairs { RSAVerifier, ECVerifier } do
    function verifier.new(self, source)
        if not source then
            return nil, "You must pass in an key_source for a public key"
        end
        return setmetatable({ evp_pkey = source.public_key }, self)
    end

    function verifier.verify(self, message, signature, digest)
        if self.evp_pkey.type_name ~= self.algo then
            return false, "Verification failed"
        elseif self.algo == "EC" and #signature ~= 2 * self.evp_pkey:order_size() then
            return nil, "signature length != 2 * order length"
        elseif not self.evp_pkey:verify(signature, message, digest, nil, self.algo == "EC" and RAW or nil) then
            return false, "Verification failed"
        end
        return true
    end
end

-- r and s as a DER signature.
function ECVerifier.get_der_sig(self, signature)
    if not signature then
        return nil, "Must pass a signature to convert"
    end
    return require("resty.openssl.auxiliary.ecdsa").sig_raw2der(signature, self.evp_pkey:order_size())
end

-- RSAEncryptor and RSADecryptor: encrypt(text) and decrypt(bytes) -> bytes, or nil and an error. padding: of CONST
-- (OAEP); digest: of OAEP ("SHA256").
local RSAEncryptor, RSADecryptor = class {}, class {}
_M.RSAEncryptor, _M.RSADecryptor = RSAEncryptor, RSADecryptor

local function paddings(padding, digest)
    padding = padding or CONST.RSA_PKCS1_OAEP_PADDING
    return {
        padding = padding,
        opts = padding == CONST.RSA_PKCS1_OAEP_PADDING and { oaep_md = digest or CONST.SHA256_DIGEST } or nil,
    }
end

function RSAEncryptor.new(self, source, padding, digest)
    if not source then
        return nil, "You must pass in an key_source for a public key"
    end
    local made = paddings(padding, digest)
    made.evp_pkey = source.public_key
    return setmetatable(made, self)
end

function RSAEncryptor.encrypt(self, text)
    return self.evp_pkey:encrypt(text, self.padding, self.opts)
end

function RSADecryptor.new(self, pem, password, padding, digest)
    return private_key(self, "RSA", pem, password, paddings(padding, digest))
end

function RSADecryptor.decrypt(self, bytes)
    return self.evp_pkey:decrypt(bytes, self.padding, self.opts)
end

return _M
