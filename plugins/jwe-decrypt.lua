-- Owns the decryption of a header (a JSON Web Encryption, "dir" and A256GCM) with the consumer's key. Configuration,
-- behaviour and messages are those of APISIX 3.18's plugin of this name. Must never log a key or what it decrypts.
local aes = require "resty.aes"
local base64 = require "ngx.base64"
local consumers = require "apisix.consumer"
local core = require "apisix.core"
local secrets = require "apisix.secret"

local decode = base64.decode_base64url
local match, sub, type = string.match, string.sub, type

local NAME = "jwe-decrypt"
local KEY_SIZE = 32 -- bytes
local CIPHER = aes.cipher(256, "gcm")

local schema = {
    type = "object",
    properties = {
        header = { type = "string", default = "Authorization" },
        forward_header = { type = "string", default = "Authorization" },
        strict = { type = "boolean", default = true },
    },
    required = { "header", "forward_header" },
}

local consumer_schema = {
    type = "object",
    properties = {
        key = { type = "string" },
        secret = { type = "string" },
        is_base64_encoded = { type = "boolean" },
    },
    required = { "key", "secret" },
    encrypt_fields = { "key", "secret" },
}

local _M = {
    version = 0.1,
    priority = 2509,
    type = "auth",
    name = NAME,
    schema = schema,
    consumer_schema = consumer_schema,
}

-- The key of a consumer's configuration as bytes, or nil.
local function key_of(conf)
    return conf.is_base64_encoded and decode(conf.secret) or not conf.is_base64_encoded and conf.secret or nil
end

-- In etcd the secret may stand encrypted, which makes it longer.
local function may_be_encrypted()
    return core.config.type == "etcd"
        and core.table.try_read_attr(core.config.local_conf(), "apisix", "data_encryption", "enable_encrypt_fields")
end

local function check_consumer(conf)
    local ok, err = core.schema.check(consumer_schema, conf)
    if not ok then
        return false, err
    elseif may_be_encrypted() or secrets.is_secret_ref(conf.secret) then
        return true
    end
    local key = key_of(conf)
    if not key or #key ~= KEY_SIZE then
        return false, conf.is_base64_encoded and "the secret length after base64 decode should be 32 chars"
            or "the secret length should be 32 chars"
    end
    return true
end

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_CONSUMER then
        return check_consumer(conf)
    end
    return core.schema.check(schema, conf)
end

-- The header of the request, without "Bearer"; nil when there is none.
local function sent(conf, ctx)
    local text = core.request.header(ctx, conf.header)
    local scheme = text and sub(text, 1, 7)
    if scheme == "Bearer " or scheme == "bearer " then
        return sub(text, 8)
    end
    return text
end

-- Returns {header = table, iv, ciphertext, tag (bytes, nil when they cannot be read)}, or nil.
local function parse(text)
    local header, _, iv, ciphertext, tag = match(text, "^(.-)%.(.-)%.(.-)%.(.-)%.(.*)$")
    local json = header and decode(header)
    local found = json and core.json.decode(json)
    if type(found) ~= "table" then
        return nil
    end
    return { header = found, iv = decode(iv), ciphertext = decode(ciphertext), tag = decode(tag) }
end

-- The text of a token, or nil and the reason.
local function decrypt(token, auth_conf)
    local key = key_of(auth_conf)
    if not key or not token.iv or not token.ciphertext or not token.tag then
        return nil, "not in base64url"
    end
    local cipher, err = aes:new(key, nil, CIPHER, { iv = token.iv })
    if not cipher then
        return nil, err
    end
    return cipher:decrypt(token.ciphertext, token.tag)
end

function _M.rewrite(conf, ctx)
    local text = sent(conf, ctx)
    if not text then
        if conf.strict then
            return 403, { message = "missing JWE token in request" }
        end
        return
    end
    local token = parse(text)
    if not token then
        return 400, { message = "JWE token invalid" }
    elseif not token.header.kid then
        return 400, { message = "missing kid in JWE token" }
    end
    local consumer = consumers.find_consumer(NAME, "key", token.header.kid)
    if not consumer then
        return 400, { message = "invalid kid in JWE token" }
    end
    local plain, err = decrypt(token, consumer.auth_conf)
    if not plain then
        core.log.info("failed to decrypt JWE token: ", err)
        return 400, { message = "failed to decrypt JWE token" }
    end
    core.request.set_header(ctx, conf.forward_header, plain)
end

return _M
