-- Owns the protection of unsafe methods by a signed token that the client sends back both as a cookie and as a header.
-- Configuration, behaviour and messages are those of APISIX 3.18's plugin of this name. Must never log the key.
local core = require "apisix.core"
local sha256 = require "resty.sha256"
local to_hex = require("resty.string").to_hex

local cookie_time, time = ngx.cookie_time, ngx.time
local decode_base64, encode_base64 = ngx.decode_base64, ngx.encode_base64
local random_number = math.random
local tonumber, tostring, type = tonumber, tostring, type

local SAFE = { GET = true, HEAD = true, OPTIONS = true }

local schema = {
    type = "object",
    properties = {
        key = { type = "string", description = "what the tokens are signed with" },
        expires = { type = "integer", default = 7200, description = "seconds; not above 0: tokens stay valid" },
        name = { type = "string", default = "apisix-csrf-token", description = "of the cookie and the header" },
    },
    required = { "key" },
    encrypt_fields = { "key" },
}

local _M = { version = 0.1, priority = 2980, name = "csrf", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

local function sign(random, expires, key)
    local digest = sha256:new()
    digest:update("{expires:" .. expires .. ",random:" .. random .. ",key:" .. key .. "}")
    return to_hex(digest:final())
end

local function new_token(conf)
    local random, now = random_number(), time()
    return encode_base64(core.json.encode({
        random = random, expires = now, sign = sign(random, now, conf.key),
    }))
end

-- Why a token is not one of ours, or no more valid; nil when it is.
local function flaw(conf, token)
    local text = decode_base64(token)
    if not text then
        return "csrf token base64 decode error"
    end
    local content, err = core.json.decode(text)
    if type(content) ~= "table" then
        return "decode token error: " .. tostring(err or "no object")
    end
    local random, expires = content.random, content.expires
    if not tonumber(random) then
        return "no random in token"
    elseif not tonumber(expires) then
        return "no expires in token"
    elseif conf.expires > 0 and time() - expires > conf.expires then
        return "token has expired"
    elseif content.sign ~= sign(random, expires, conf.key) then
        return "Invalid signatures"
    end
    return nil
end

function _M.access(conf, ctx)
    if SAFE[core.request.get_method()] then
        return
    end
    local sent = core.request.header(ctx, conf.name)
    if not sent or sent == "" then
        return 401, { error_msg = "no csrf token in headers" }
    end
    local cookie = ctx.var["cookie_" .. conf.name]
    if not cookie then
        return 401, { error_msg = "no csrf cookie" }
    elseif sent ~= cookie then
        return 401, { error_msg = "csrf token mismatch" }
    end
    local reason = flaw(conf, cookie)
    if reason then
        core.log.error(reason)
        return 401, { error_msg = "Failed to verify the csrf token signature" }
    end
end

function _M.header_filter(conf)
    core.response.add_header("Set-Cookie", conf.name .. "=" .. new_token(conf) .. ";path=/;SameSite=Lax;Expires="
        .. cookie_time(time() + conf.expires))
end

return _M
