-- Owns encrypted tokens (RFC 7516): keys agreed on ("dir") or encrypted with RSA ("RSA-OAEP-256"); A128CBC-HS256,
-- A256CBC-HS512 and A256GCM. Must never decrypt what is not authenticated: what fails then would tell about the text.
local ciphers = require "resty.openssl.cipher"
local encoding = require "resty.jwt.encoding"
local evp = require "resty.evp"
local hmac = require "resty.hmac"
local random = require "resty.random"

local CONST = evp.CONST
local char, find, floor, sub = string.char, string.find, math.floor, string.sub
local decode, encode, fail = encoding.decode, encoding.encode, encoding.fail
local tostring, type = tostring, type

local GCM_TAG, GCM_IV, CBC_IV = 16, 12, 16 -- bytes

-- Sizes of keys in bytes; the first mac of them authenticate.
local ENCRYPTIONS = {
    ["A128CBC-HS256"] = { cipher = "aes-128-cbc", mac = 16, key = 32, hash = hmac.ALGOS.SHA256, iv = CBC_IV },
    ["A256CBC-HS512"] = { cipher = "aes-256-cbc", mac = 32, key = 64, hash = hmac.ALGOS.SHA512, iv = CBC_IV },
    ["A256GCM"] = { cipher = "aes-256-gcm", mac = 0, key = 32, iv = GCM_IV },
}

local _M = {}

-- The length of the header in bits, as eight bytes.
local function bits_of(text)
    local bits = #text * 8
    return "\0\0\0\0" .. char(floor(bits / 0x1000000) % 256, floor(bits / 0x10000) % 256, floor(bits / 0x100) % 256,
        bits % 256)
end

local function check_key(encryption, key)
    if #key ~= encryption.key then
        fail("invalid pre-shared key")
    end
end

local function encryption_of(header)
    return ENCRYPTIONS[header.enc] or fail("unsupported payload encryption algorithm :" .. tostring(header.enc))
end

local function mac_of(encryption, key, header, iv, text)
    local mac = hmac:new(sub(key, 1, encryption.mac), encryption.hash)
    return sub(mac:final(header .. iv .. text .. bits_of(header)), 1, encryption.mac)
end

-- The key that the content is encrypted with, from the secret and from what the token carries.
local function content_key(header, secret, encrypted)
    if header.alg == "dir" then
        return secret or fail("preshared key must not be null")
    elseif header.alg ~= "RSA-OAEP-256" then
        fail("invalid algorithm: " .. tostring(header.alg))
    elseif not secret then
        fail("rsa private key must not be null")
    end
    local decryptor, err = evp.RSADecryptor:new(secret, nil, CONST.RSA_PKCS1_OAEP_PADDING, CONST.SHA256_DIGEST)
    if not decryptor then
        fail("failed to create rsa object: " .. err)
    end
    local key
    key, err = decryptor:decrypt(encrypted and decode(encrypted) or "")
    return key or fail("failed to decrypt key: " .. err)
end

local function decrypt(encryption, key, iv, text, aad, tag)
    if not encryption.hash and #tag ~= GCM_TAG then
        return nil, "wrong length of the tag"
    end
    local cipher = ciphers.new(encryption.cipher)
    if encryption.hash then
        return cipher:decrypt(sub(key, encryption.mac + 1), iv, text)
    end
    return cipher:decrypt(key, iv, text, false, aad, tag)
end

-- The token of its encoded parts (encrypted: nil when there is none). secret: the key, or a private RSA key as PEM;
-- from_json: what reads the payload. Raises {reason}. A token of a wrong tag has no payload, and `forged`.
function _M.parse(secret, from_json, encoded_header, encrypted, encoded_iv, encoded_text, encoded_tag)
    local header = encoding.decode_table(encoded_header, "header")
    local key = content_key(header, secret, encrypted)
    local encryption = encryption_of(header)
    check_key(encryption, key)
    local iv, text, tag = decode(encoded_iv), decode(encoded_text), decode(encoded_tag)
    if not iv or not text or not tag then
        fail("invalid jwt string")
    end
    local token = { typ = "JWE", header = header, signature = tag, payload = {} }
    if encryption.hash and mac_of(encryption, key, encoded_header, iv, text) ~= tag then
        token.forged = true
        return token
    end
    local json, err = decrypt(encryption, key, iv, text, encoded_header, tag)
    if not json then
        fail("failed to decrypt payload: " .. err)
    end
    local payload = from_json(json)
    if type(payload) ~= "table" and type(payload) ~= "string" then
        fail("invalid payload")
    end
    token.payload = payload
    return token
end

-- The key of a new token and how it is sent, encrypted.
local function new_key(header, encryption, secret)
    if header.alg == "dir" then
        if type(secret) ~= "string" then
            fail("invalid pre-shared key")
        end
        return secret, ""
    elseif header.alg ~= "RSA-OAEP-256" then
        fail("unsupported alg: " .. tostring(header.alg))
    end
    local source, err
    if find(secret, "CERTIFICATE", 1, true) then
        source, err = evp.Cert:new(secret)
    elseif find(secret, "PUBLIC KEY", 1, true) then
        source, err = evp.PublicKey:new(secret)
    end
    if not source then
        fail("Decode secret is not a valid cert/public key: " .. (err or ""))
    end
    local key = random.bytes(encryption.key, true)
    local encryptor = evp.RSAEncryptor:new(source, CONST.RSA_PKCS1_OAEP_PADDING, CONST.SHA256_DIGEST)
    local encrypted
    encrypted, err = encryptor:encrypt(key)
    return key, encrypted or fail("failed to encrypt key " .. err)
end

-- The token {header, payload} as text. secret: the key, or a certificate or public RSA key as PEM. Raises {reason}.
function _M.seal(secret, to_json, token)
    local header = token.header
    header.typ = nil
    local encryption = encryption_of(header)
    local key, encrypted = new_key(header, encryption, secret)
    check_key(encryption, key)
    local encoded_header, iv = encode(header), random.bytes(encryption.iv, true)
    local cipher = ciphers.new(encryption.cipher)
    local tag, text, err
    if encryption.hash then
        text, err = cipher:encrypt(sub(key, encryption.mac + 1), iv, to_json(token.payload))
        tag = text and mac_of(encryption, key, encoded_header, iv, text)
    else
        text, err = cipher:encrypt(key, iv, to_json(token.payload), false, encoded_header)
        tag = text and cipher:get_aead_tag(GCM_TAG)
    end
    if not text then
        fail("error while encrypting payload. Error: " .. err)
    end
    return encoded_header .. "." .. encode(encrypted) .. "." .. encode(iv) .. "." .. encode(text) .. "." .. encode(tag)
end

return _M
