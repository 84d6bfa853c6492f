-- Owns secrets in HashiCorp Vault: KV engines, version 1 and 2, over Vault's HTTP API. Must never log a secret.
-- Mirrors apisix.secret.vault.
local core = require "apisix.core"
local http = require "resty.http"

local concat = table.concat
local gmatch = string.gmatch
local match = string.match
local type = type

local DEFAULT_TIMEOUT = 5 -- seconds
local NULL = core.json.null

local schema = {
    type = "object",
    properties = {
        uri = core.schema.uri_def,
        prefix = { type = "string", description = "path of the engine; of version 2 with /data at its end" },
        token = { type = "string", description = "or a reference such as $env://VAULT_TOKEN" },
        namespace = { type = "string" },
    },
    required = { "uri", "prefix", "token" },
}

local _M = { schema = schema }

-- "/v1/a//b/./c" -> "/v1/a/b/c"; ".." leads up, but not out.
local function normal_path(path)
    local parts = {}
    for part in gmatch(path, "[^/]+") do
        if part == ".." then
            parts[#parts] = nil
        elseif part ~= "." then
            parts[#parts + 1] = part
        end
    end
    return "/" .. concat(parts, "/")
end

local function request(conf, path)
    local client = http.new()
    client:set_timeout((conf.timeout or DEFAULT_TIMEOUT) * 1000)
    local res, err = client:request_uri(conf.uri .. normal_path("/v1/" .. conf.prefix .. "/" .. path), {
        method = "GET",
        headers = {
            ["X-Vault-Token"] = core.env.fetch_by_uri(conf.token) or conf.token,
            ["X-Vault-Namespace"] = conf.namespace,
        },
    })
    if not res then
        return nil, "failed to retrtive data from vault kv engine: " .. err
    end
    return res.body
end

-- An engine of version 2 wraps the secret with what it knows about its version.
local function unwrap(data)
    local metadata = data.metadata
    if type(metadata) == "table" and metadata.version and data.data ~= nil then
        return type(data.data) == "table" and data.data or {}
    end
    return data
end

-- An answer without data holds Vault's errors, no secret: it may be told.
local function secret_of(body)
    local answer, err = core.json.decode(body)
    if type(answer) ~= "table" then
        return nil, "failed to decode result, err: " .. (err or "not an object")
    elseif type(answer.data) ~= "table" then
        return nil, "failed to decode result, res: " .. body
    end
    return unwrap(answer.data)
end

-- key: "<path below the prefix>/<name in the secret>". Returns the value; nil where the secret has none; or nil, err.
-- Yields.
function _M.get(conf, key)
    core.log.info("fetching data from vault for key: ", key)
    local main_key, sub_key = match(key, "^(.*)/([^/]*)$")
    if not main_key then
        return nil, "error key format, key: " .. key
    elseif main_key == "" then
        return nil, "can't find main key, key: " .. key
    elseif sub_key == "" then
        return nil, "can't find sub key, key: " .. key
    end

    local body, err = request(conf, main_key)
    if not body then
        return nil, err
    end
    local secret
    secret, err = secret_of(body)
    if not secret then
        return nil, err
    end
    local value = secret[sub_key]
    return value ~= NULL and value or nil
end

return _M
