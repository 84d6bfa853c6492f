-- Owns secrets in AWS Secrets Manager, over its HTTP API. Must never log a secret. Mirrors apisix.secret.aws, without
-- its library: credentials are those of the configuration alone.
local core = require "apisix.core"
local http = require "resty.http"
local signature = require "apisix.secret.aws.signature"

local byte = string.byte
local concat = table.concat
local find = string.find
local ipairs = ipairs
local match = string.match
local ngx = ngx
local tostring = tostring
local type = type

local SERVICE = "secretsmanager"
local TARGET = "secretsmanager.GetSecretValue"
local CURRENT = "AWSCURRENT"
local NULL = core.json.null
local SLASH = byte("/")
local STANDARD_PORTS = { http = 80, https = 443 }

local schema = {
    type = "object",
    properties = {
        access_key_id = { type = "string" },
        secret_access_key = { type = "string" },
        session_token = { type = "string" },
        region = { type = "string", default = "us-east-1" },
        endpoint_url = core.schema.uri_def,
    },
    required = { "access_key_id", "secret_access_key" },
}

local _M = { schema = schema }

local function credentials_of(conf)
    local credentials = {}
    for _, name in ipairs({ "access_key_id", "secret_access_key", "session_token" }) do
        credentials[name] = core.env.fetch_by_uri(conf[name]) or conf[name]
    end
    return credentials
end

-- Returns "scheme://host:port" and the Host of requests to it, or nil, err.
local function endpoint_of(conf, region)
    local url = conf.endpoint_url or "https://" .. SERVICE .. "." .. region .. ".amazonaws.com"
    local parsed, err = http:parse_uri(url, false)
    if not parsed then
        return nil, err
    end
    local scheme, host, port = parsed[1], parsed[2], parsed[3]
    local authority = port == STANDARD_PORTS[scheme] and host or host .. ":" .. port
    return scheme .. "://" .. host .. ":" .. port .. "/", authority
end

-- AWS names what is wrong; a message of its own making holds no secret.
local function fault_of(res)
    local told = core.json.decode(res.body)
    local kind = type(told) == "table" and tostring(told.__type or "") or ""
    local text = "invalid status code " .. res.status .. (type(told) == "table" and ", " .. res.body or "")
    return text, find(kind, "ResourceNotFoundException", 1, true) ~= nil
end

-- Returns the text of the secret of this name; or nil, err, and whether there is no such secret.
local function fetch(conf, name)
    local region = conf.region or schema.properties.region.default
    local url, host = endpoint_of(conf, region)
    if not url then
        return nil, host
    end
    local body = core.json.canonical_encode({ SecretId = name, VersionStage = CURRENT })
    local headers = { ["Host"] = host, ["Content-Type"] = "application/x-amz-json-1.1", ["X-Amz-Target"] = TARGET }
    signature.sign(headers, body, credentials_of(conf), region, SERVICE, ngx.time())

    local res, err = http.new():request_uri(url, { method = "POST", headers = headers, body = body })
    if not res then
        return nil, err
    elseif res.status ~= 200 then
        return nil, fault_of(res)
    end
    local answer = core.json.decode(res.body)
    if type(answer) ~= "table" or type(answer.SecretString) ~= "string" then
        return nil, "the answer holds no SecretString"
    end
    return answer.SecretString
end

local function field_of(text, name)
    local object, err = core.json.decode(text)
    if type(object) ~= "table" then
        return nil, "failed to decode result, err: " .. (err or "not an object")
    end
    local value = object[name]
    return value ~= NULL and value or nil
end

-- key: the secret's name, alone or with "/<field of the JSON object in it>". As names may hold slashes, the longest
-- one is tried first. Returns the value; nil where the object has no such field; or nil, err. Yields.
function _M.get(conf, key)
    core.log.info("fetching data from aws for key: ", key)
    if key == "" or byte(key) == SLASH then
        return nil, "can't find main key, key: " .. key
    end
    local name, field = key, nil
    while true do
        local text, err, absent = fetch(conf, name)
        if text then
            if field then
                return field_of(text, field)
            end
            return text
        end
        local shorter, last = match(name, "^(.+)/([^/]*)$")
        if not absent or not shorter then
            return nil, "failed to retrieve data from aws secret manager: " .. err
        end
        name, field = shorter, field and concat({ last, field }, "/") or last
    end
end

return _M
