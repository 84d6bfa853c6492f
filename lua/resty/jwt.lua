-- Owns the module resty.jwt: JSON Web Tokens (api7-lua-resty-jwt 0.2.6), with its messages. The parts of it stand in
-- resty.jwt.*.
local cjson = require "cjson.safe"
local claims = require "resty.jwt.claims"
local encoding = require "resty.jwt.encoding"
local evp = require "resty.evp"
local jwe = require "resty.jwt.jwe"
local signatures = require "resty.jwt.signature"

local decode_base64 = ngx.decode_base64
local encode, fail = encoding.encode, encoding.fail
local error, gmatch, pcall, select, setmetatable = error, string.gmatch, pcall, select, setmetatable
local tostring, type = tostring, type

local GOOD = "everything is awesome~ :p"
local INVALID = "invalid jwt string"

local _M = { _VERSION = "0.2.3" }
local metatable = { __index = _M }

-- An object with settings of its own; without one they are the module's.
function _M.new()
    return setmetatable({}, metatable)
end

-- PEM file of the certificates that those in tokens must follow from.
function _M.set_trusted_certs_file(self, path)
    self.trusted_certs_file = path
end

-- algorithms: {HS256 = 1, …}, all that verify() takes; nil: every one.
function _M.set_alg_whitelist(self, algorithms)
    self.alg_whitelist = algorithms
end

-- retrieve(url, issuer, kid) -> the certificate that a token's "x5u" names.
function _M.set_x5u_content_retriever(self, retrieve)
    if type(retrieve) ~= "function" then
        error("'retriever_function' is expected to be a function", 0)
    end
    self.x5u_content_retriever = retrieve
end

local function set_codec(self, name, field, f)
    if type(f) ~= "function" then
        fail(name .. " must be function")
    end
    self[field] = f
end

-- What makes JSON of payloads.
function _M.set_payload_encoder(self, encoder)
    set_codec(self, "payload encoder", "payload_encoder", encoder)
end

-- What reads the JSON of payloads.
function _M.set_payload_decoder(self, decoder)
    set_codec(self, "payload decoder", "payload_decoder", decoder)
end

-- Base64url of bytes, or of a table as JSON.
function _M.jwt_encode(self, value, is_payload)
    return encode(value, is_payload and self.payload_encoder or nil)
end

-- The bytes of base64url, or the value of the JSON in it; nil if there is none.
function _M.jwt_decode(self, text, is_json, is_payload)
    local found = encoding.decode(text)
    if not found or not is_json then
        return found
    end
    return (is_payload and self.payload_decoder or cjson.decode)(found)
end

_M.get_default_validation_options = function(_, token)
    return claims.default_options(token)
end

local function parse(self, secret, text)
    local parts = {}
    for part in gmatch(text, "[^.]+") do
        parts[#parts + 1] = part
    end
    if #parts == 3 then
        return {
            typ = "JWT", raw_header = parts[1], raw_payload = parts[2], signature = parts[3],
            header = encoding.decode_table(parts[1], "header"), payload = encoding.decode_table(parts[2], "payload"),
        }
    end
    local from_json = self.payload_decoder or cjson.decode
    if #parts == 4 then
        return jwe.parse(secret, from_json, parts[1], nil, parts[2], parts[3], parts[4])
    elseif #parts == 5 then
        return jwe.parse(secret, from_json, parts[1], parts[2], parts[3], parts[4], parts[5])
    end
    fail(INVALID)
end

-- The token in a string: {valid, verified = false, header, payload, signature, …}; {valid = false, reason} if there is
-- none. secret: of encrypted tokens.
function _M.load_jwt(self, text, secret)
    local ok, token = pcall(parse, self, secret, text)
    if not ok then
        return { valid = false, verified = false, reason = type(token) == "table" and token.reason or INVALID }
    end
    token.valid, token.verified = true, false
    return token
end

local function raw(token, name)
    local part = token["raw_" .. name]
    if part == nil then
        part = encode(token[name] or fail("missing part " .. name))
    end
    return part
end

-- The token {header = {alg, …}, payload} as a string. secret: what its algorithm needs. Raises {reason = text}.
function _M.sign(self, secret, token)
    local typ = token.header.typ
    if typ ~= nil and typ ~= "JWT" and typ ~= "JWE" then
        fail("invalid typ: " .. tostring(typ))
    elseif typ == "JWE" or token.header.enc then
        return jwe.seal(secret, self.payload_encoder or cjson.encode, token)
    end
    local message = raw(token, "header") .. "." .. raw(token, "payload")
    return message .. "." .. encode(signatures.make(secret, token.header, message))
end

-- The certificate that a token brings along, or nil and the reason.
local function own_certificate(self, token)
    local header = token.header
    if type(header.x5c) == "table" and header.x5c[1] ~= nil then
        local der = type(header.x5c[1]) == "string" and decode_base64(header.x5c[1])
        return der or nil, "Malformed x5c header"
    elseif header.x5u == nil then
        return nil, "Unsupported RS256 key model"
    elseif not self.x5u_content_retriever then
        return nil, "No function has been provided to retrieve the content pointed at by the 'x5u'."
    end
    local ok, text = pcall(self.x5u_content_retriever, header.x5u, token.payload.iss, header.kid)
    if not ok then
        return nil, "An error occured while invoking the x5u_content_retriever function."
    end
    return text
end

-- What to verify a token with, or nil and the reason.
local function key_for(self, secret, token)
    if self.trusted_certs_file == nil then
        if secret == nil then
            return nil, "No trusted certs loaded"
        end
        return signatures.key_of(secret)
    end
    local text, err = own_certificate(self, token)
    if not text then
        return nil, err
    end
    local certificate, trusted
    certificate, err = evp.Cert:new(text)
    if not certificate then
        return nil, "Unable to extract signing cert from JWT: " .. err
    end
    trusted, err = certificate:verify_trust(self.trusted_certs_file)
    if not trusted then
        return nil, "Cert used to sign the JWT isn't trusted: " .. tostring(err)
    end
    return certificate
end

-- Why the signature is not the secret's, or nil.
local function signature_flaw(self, secret, token)
    local alg = token.header.alg
    local message = raw(token, "header") .. "." .. raw(token, "payload")
    if signatures.is_shared(alg) then
        local ok, made = pcall(signatures.make, secret, token.header, message)
        if not ok then
            return type(made) == "table" and made.reason or "internal error"
        elseif encode(made) ~= token.signature then
            return "signature mismatch: " .. token.signature
        end
        return nil
    elseif not signatures.is_of_keys(alg) then
        return "Unsupported algorithm " .. tostring(alg)
    end
    local source, err = key_for(self, secret, token)
    if not source then
        return err
    end
    return signatures.flaw(source, alg, message, token.signature)
end

-- Why an encrypted token does not hold, or nil. Decrypting has verified it.
local function jwe_flaw(token)
    local reason
    if token.header.enc == nil then
        reason = "JWE without enc"
    elseif token.forged then
        reason = "signature mismatch: " .. tostring(token.signature)
    end
    token.forged, token.signature = nil, nil
    return reason
end

-- Set verified and reason of a token of load_jwt. secret: text, of HS… a function of the kid too; …: what its claims
-- are held to, validators by claim; by default the times that are there. Returns the token.
function _M.verify_jwt_obj(self, secret, token, ...)
    if not token.valid then
        return token
    elseif token.forged then
        token.reason = jwe_flaw(token)
        return token
    elseif token.reason ~= nil then
        return token
    end
    local specs = select("#", ...) > 0 and { ... } or { claims.default_options(token) }
    token.reason = claims.flaw(token, specs)
    if token.reason then
        return token
    elseif token.typ == "JWE" then
        token.reason = jwe_flaw(token)
    elseif token.header.alg == nil then
        token.reason = "No algorithm supplied"
    elseif self.alg_whitelist ~= nil and self.alg_whitelist[token.header.alg] == nil then
        return { verified = false, reason = "whitelist unsupported alg: " .. tostring(token.header.alg) }
    else
        token.reason = signature_flaw(self, secret, token)
    end
    if not token.reason then
        token.verified, token.reason = true, GOOD
    end
    return token
end

-- Load and verify. Returns the token; {verified = false, reason} if there is none in the string.
function _M.verify(self, secret, text, ...)
    local token = _M.load_jwt(self, text, secret)
    if not token.valid then
        return { verified = false, reason = token.reason }
    end
    return _M.verify_jwt_obj(self, secret, token, ...)
end

return _M
