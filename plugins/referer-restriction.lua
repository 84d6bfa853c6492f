-- Owns who may use a route by the host in the request's Referer. Configuration, behaviour and messages are those of
-- APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local http = require "resty.http"

local has_suffix = core.string.has_suffix
local ipairs = ipairs
local setmetatable = setmetatable
local sub = string.sub

local hosts = { type = "array", minItems = 1, items = core.schema.host_def }

local schema = {
    type = "object",
    properties = {
        bypass_missing = { type = "boolean", default = false },
        whitelist = hosts,
        blacklist = hosts,
        message = {
            type = "string", minLength = 1, maxLength = 1024, default = "Your referer host is not allowed",
        },
    },
    oneOf = { { required = { "whitelist" } }, { required = { "blacklist" } } },
}

local _M = { version = 0.1, priority = 2990, name = "referer-restriction", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

local matchers = setmetatable({}, { __mode = "k" }) -- list -> {names = set, suffixes = array}

local function matcher_of(list)
    local matcher = matchers[list]
    if not matcher then
        matcher = { names = {}, suffixes = {} }
        for _, host in ipairs(list) do
            if sub(host, 1, 1) == "*" then
                matcher.suffixes[#matcher.suffixes + 1] = sub(host, 2)
            else
                matcher.names[host] = true
            end
        end
        matchers[list] = matcher
    end
    return matcher
end

local function contains(list, host)
    local matcher = matcher_of(list)
    if matcher.names[host] then
        return true
    end
    local suffixes = matcher.suffixes
    for i = 1, #suffixes do
        if has_suffix(host, suffixes[i]) then
            return true
        end
    end
    return false
end

-- The host of the Referer; nil without one, and of one that is no URL.
local function referring_host(ctx)
    local referer = ctx.var.http_referer
    local parts = referer and http.parse_uri(nil, referer)
    return parts and parts[2]
end

local function is_forbidden(conf, host)
    if not host then
        return not conf.bypass_missing
    elseif conf.whitelist then
        return not contains(conf.whitelist, host)
    end
    return contains(conf.blacklist, host)
end

function _M.access(conf, ctx)
    if is_forbidden(conf, referring_host(ctx)) then
        return 403, { message = conf.message }
    end
end

return _M
