-- Owns secrets in Google Cloud Secret Manager, over its HTTP API. Must never log a secret.
-- Mirrors apisix.secret.gcp.
local core = require "apisix.core"
local google_oauth = require "apisix.utils.google-cloud-oauth"
local http = require "resty.http"

local decode_base64 = ngx.decode_base64
local find = string.find
local sub = string.sub
local tostring = tostring
local type = type

local NULL = core.json.null

local auth_config = {
    type = "object",
    properties = {
        client_email = { type = "string" },
        private_key = { type = "string" },
        project_id = { type = "string" },
        token_uri = { type = "string", default = "https://oauth2.googleapis.com/token" },
        scope = {
            type = "array",
            items = { type = "string" },
            default = { "https://www.googleapis.com/auth/cloud-platform" },
        },
        entries_uri = { type = "string", default = "https://secretmanager.googleapis.com/v1" },
    },
    required = { "client_email", "private_key", "project_id" },
}

local schema = {
    type = "object",
    properties = {
        auth_config = auth_config,
        ssl_verify = { type = "boolean", default = true },
        auth_file = { type = "string" },
    },
    oneOf = {
        { required = { "auth_config" } },
        { required = { "auth_file" } },
    },
}

local accounts = core.lrucache.new({ ttl = 300, count = 8 })

local _M = { schema = schema }

-- The account that a key file of Google's describes.
local function read_account(path)
    local text, err = core.io.get_file(path)
    if not text then
        return nil, "failed to read configuration, file: " .. path .. ", err: " .. err
    end
    local read
    read, err = core.json.decode(text)
    if type(read) ~= "table" then
        return nil, "config parse failure, file: " .. path .. ", err: " .. (err or "not an object")
    end
    local account = core.table.pick(read, auth_config.properties)
    local ok
    ok, err = core.schema.check(auth_config, account)
    if not ok then
        return nil, "config parse failure, file: " .. path .. ", err: " .. err
    end
    return account
end

local function oauth_of(conf)
    local account, err = conf.auth_config, nil
    if not account then
        account, err = read_account(conf.auth_file)
    end
    if not account then
        return nil, err
    end
    local key = account.client_email .. "#" .. account.project_id
    local version = account.private_key .. "#" .. tostring(conf.ssl_verify) .. "#" .. tostring(account.token_uri)
        .. "#" .. tostring(account.entries_uri)
    return accounts(key, version, google_oauth.new, account, conf.ssl_verify)
end

local function secret_of(body)
    local answer, err = core.json.decode(body)
    if type(answer) ~= "table" then
        return nil, "failed to parse response data, " .. (err or "not an object")
    end
    local payload = answer.payload
    if type(payload) ~= "table" or type(payload.data) ~= "string" then
        return nil, "invalid payload"
    end
    return decode_base64(payload.data)
end

local function fetch(conf, name)
    local oauth, err = oauth_of(conf)
    if not oauth then
        return nil, err
    end
    local token = oauth:generate_access_token()
    if not token then
        return nil, "failed to get google oauth token"
    end
    local res
    res, err = http.new():request_uri(
        oauth.entries_uri .. "/projects/" .. oauth.project_id .. "/secrets/" .. name .. "/versions/latest:access",
        {
            ssl_verify = oauth.ssl_verify,
            method = "GET",
            headers = {
                ["Content-Type"] = "application/json",
                ["Authorization"] = (oauth.access_token_type or "Bearer") .. " " .. token,
            },
        }
    )
    if not res then
        return nil, err
    elseif res.status ~= 200 then
        return nil, res.body -- says what is wrong, no secret
    end
    return secret_of(res.body)
end

-- key: the secret's name, alone or with "/<field of the JSON object in it>". Returns the value; nil where the object
-- has no such field; or nil, err. Yields.
function _M.get(conf, key)
    core.log.info("fetching data from gcp for key: ", key)
    local slash = find(key, "/", 1, true)
    local name = slash and sub(key, 1, slash - 1) or key
    if name == "" then
        return nil, "can't find main key, key: " .. key
    end
    local text, err = fetch(conf, name)
    if not text then
        return nil, "failed to retrtive data from gcp secret manager: " .. (err or "no base64")
    elseif not slash then
        return text
    end
    local object
    object, err = core.json.decode(text)
    if type(object) ~= "table" then
        return nil, "failed to decode result, err: " .. (err or "not an object")
    end
    local value = object[sub(key, slash + 1)]
    return value ~= NULL and value or nil
end

return _M
