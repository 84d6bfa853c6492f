-- Owns the signing of requests to AWS: Signature Version 4 for a POST to "/" without a query, as its JSON services
-- want it. Part of apisix.secret.aws.
local hmac = require "resty.hmac"
local resty_sha256 = require "resty.sha256"
local to_hex = require("resty.string").to_hex

local date = os.date
local concat = table.concat
local ipairs = ipairs
local lower = string.lower
local pairs = pairs
local sort = table.sort
local sub = string.sub

local ALGORITHM = "AWS4-HMAC-SHA256"

local function sha256_hex(text)
    local digest = resty_sha256:new()
    digest:update(text)
    return to_hex(digest:final())
end

local function hmac_sha256(key, text)
    return hmac:new(key, hmac.ALGOS.SHA256):final(text)
end

local function signing_key(secret, day, region, service)
    local key = "AWS4" .. secret
    for _, part in ipairs({ day, region, service, "aws4_request" }) do
        key = hmac_sha256(key, part)
    end
    return key
end

-- Returns the headers as the canonical request has them, and their names.
local function canonical_headers(headers)
    local names, values = {}, {}
    for name, value in pairs(headers) do
        local key = lower(name)
        names[#names + 1] = key
        values[key] = value
    end
    sort(names)
    local lines = {}
    for i, name in ipairs(names) do
        lines[i] = name .. ":" .. values[name] .. "\n"
    end
    return concat(lines), concat(names, ";")
end

local _M = {}

-- Put X-Amz-Date, X-Amz-Security-Token and Authorization into headers, all of which are signed (Host must be there).
-- credentials: {access_key_id, secret_access_key, session_token (optional)}; now: seconds since the epoch.
function _M.sign(headers, body, credentials, region, service, now)
    local stamp = date("!%Y%m%dT%H%M%SZ", now)
    local day = sub(stamp, 1, 8)
    headers["X-Amz-Date"] = stamp
    headers["X-Amz-Security-Token"] = credentials.session_token

    local lines, names = canonical_headers(headers)
    local canonical = concat({ "POST", "/", "", lines, names, sha256_hex(body) }, "\n")
    local scope = concat({ day, region, service, "aws4_request" }, "/")
    local to_sign = concat({ ALGORITHM, stamp, scope, sha256_hex(canonical) }, "\n")
    local key = signing_key(credentials.secret_access_key, day, region, service)
    headers["Authorization"] = ALGORITHM .. " Credential=" .. credentials.access_key_id .. "/" .. scope
        .. ", SignedHeaders=" .. names .. ", Signature=" .. to_hex(hmac_sha256(key, to_sign))
end

return _M
