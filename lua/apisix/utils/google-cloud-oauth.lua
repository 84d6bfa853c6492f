-- Owns access tokens of Google Cloud's service accounts: asked for with a signed JWT, kept until a minute before they
-- end. Must never log a key or a token. Mirrors apisix.utils.google-cloud-oauth.
local core = require "apisix.core"
local http = require "resty.http"
local jwt = require "resty.jwt"

local ngx = ngx
local encode_args = ngx.encode_args
local setmetatable = setmetatable
local type = type

local TOKEN_URI = "https://oauth2.googleapis.com/token"
local AUTH_URI = "https://accounts.google.com/o/oauth2/auth"
local SCOPE = "https://www.googleapis.com/auth/cloud-platform"
local GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
local LIFETIME = 3600 -- seconds, of the JWT
local MARGIN = 60

local _M = {}
local mt = { __index = _M }

local function now()
    ngx.update_time()
    return ngx.time()
end

local function scope_of(scope)
    if type(scope) == "table" then
        return core.table.concat(scope, " ")
    end
    return scope or SCOPE
end

-- config: client_email, private_key (PEM), project_id and, optional, token_uri, auth_uri, entries_uri, scope (text or
-- array); ssl_verify: of requests. Returns an object with the methods below.
function _M.new(config, ssl_verify)
    return setmetatable({
        client_email = config.client_email,
        private_key = config.private_key,
        project_id = config.project_id,
        token_uri = config.token_uri or TOKEN_URI,
        auth_uri = config.auth_uri or AUTH_URI,
        entries_uri = config.entries_uri,
        scope = scope_of(config.scope),
        ssl_verify = ssl_verify,
        access_token_expire_time = 0,
    }, mt)
end

-- What the account signs to get a token.
function _M:generate_jwt_token()
    local issued = now()
    local payload = core.json.encode({
        iss = self.client_email,
        aud = self.token_uri,
        scope = self.scope,
        iat = issued,
        exp = issued + LIFETIME,
    })
    return jwt:sign(self.private_key, { header = { alg = "RS256", typ = "JWT" }, payload = payload })
end

-- Ask for a new token: access_token, access_token_type, access_token_ttl and access_token_expire_time are it
-- afterwards. A failure is logged and leaves them as they were. Yields.
function _M:refresh_access_token()
    local res, err = http.new():request_uri(self.token_uri, {
        ssl_verify = self.ssl_verify,
        method = "POST",
        body = encode_args({ grant_type = GRANT, assertion = self:generate_jwt_token() }),
        headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    })
    if not res then
        core.log.error("failed to refresh google oauth access token, ", err)
        return
    elseif res.status ~= 200 then
        core.log.error("failed to refresh google oauth access token: ", res.body)
        return
    end
    local token
    token, err = core.json.decode(res.body)
    if type(token) ~= "table" then
        core.log.error("failed to parse google oauth response data: ", err or "not an object")
        return
    end
    self.access_token = token.access_token
    self.access_token_type = token.token_type
    self.access_token_ttl = token.expires_in
    self.access_token_expire_time = now() + (token.expires_in or 0)
end

-- A token that is valid for a minute at least; the old one, or nil, where none can be had. May yield.
function _M:generate_access_token()
    if not self.access_token or now() > self.access_token_expire_time - MARGIN then
        self:refresh_access_token()
    end
    return self.access_token
end

return _M
