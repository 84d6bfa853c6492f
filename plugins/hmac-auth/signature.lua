-- Owns the signature of a request: what the Authorization header says of it and what is signed (after the draft
-- "Signing HTTP Messages" of Cavage and Sporny). Must never log a key.
local core = require "apisix.core"
local hmac = require "resty.hmac"
local split = require("ngx.re").split

local concat, gmatch, ipairs, match, sub = table.concat, string.gmatch, ipairs, string.match, string.sub
local hmac_sha1 = ngx.hmac_sha1

local SCHEME = "Signature"
local SHA256, SHA512 = hmac.ALGOS.SHA256, hmac.ALGOS.SHA512

local _M = { ALGORITHMS = { "hmac-sha1", "hmac-sha256", "hmac-sha512" } }

local make = {
    ["hmac-sha1"] = hmac_sha1,
    ["hmac-sha256"] = function(key, text)
        return hmac:new(key, SHA256):final(text)
    end,
    ["hmac-sha512"] = function(key, text)
        return hmac:new(key, SHA512):final(text)
    end,
}

-- What the client says of its signature: {keyId, algorithm, signature, headers (a list of names), date, body_digest}.
-- Returns nil and the reason when there is none.
function _M.sent(ctx)
    local header = core.request.header(ctx, "Authorization")
    if not header then
        return nil, "missing Authorization header"
    elseif sub(header, 1, #SCHEME) ~= SCHEME then
        return nil, "Authorization header does not start with 'Signature'"
    end
    local found = { date = core.request.header(ctx, "Date"), body_digest = core.request.header(ctx, "Digest") }
    for field in gmatch(sub(header, #SCHEME + 1), "[^,]+") do
        local name, value = match(field, '%s*(%w+)="(.-)"')
        if name == "keyId" or name == "algorithm" or name == "signature" then
            found[name] = value
        elseif name == "headers" then
            found.headers = split(value, " ", "jo")
        end
    end
    return found
end

-- The bytes that the signature of this request is to be. params: of sent(), its algorithm one of ALGORITHMS.
function _M.expected(ctx, secret_key, params)
    local lines = { params.keyId }
    for _, name in ipairs(params.headers or {}) do
        local value = core.request.header(ctx, name)
        if value then
            lines[#lines + 1] = name .. ": " .. value
        elseif name == "@request-target" then
            lines[#lines + 1] = core.request.get_method() .. " " .. ctx.var.request_uri
        end
    end
    lines[#lines + 1] = ""
    return make[params.algorithm](secret_key, concat(lines, "\n"))
end

return _M
