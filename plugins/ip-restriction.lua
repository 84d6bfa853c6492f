-- Owns who may use a route by the address that the request comes from. Configuration, behaviour and messages are those
-- of APISIX 3.18's plugin of this name. Must never find out that address itself: real-ip does.
local core = require "apisix.core"

local create_matcher = core.ip.create_ip_matcher
local ipairs = ipairs
local setmetatable = setmetatable

local addresses = { type = "array", minItems = 1, items = { anyOf = core.schema.ip_def } }

local schema = {
    type = "object",
    properties = {
        whitelist = addresses,
        blacklist = addresses,
        message = { type = "string", minLength = 1, maxLength = 1024, default = "Your IP address is not allowed" },
        response_code = { type = "integer", minimum = 403, maximum = 404, default = 403 },
    },
    oneOf = { { required = { "whitelist" } }, { required = { "blacklist" } } },
}

local _M = { version = 0.1, priority = 3000, name = "ip-restriction", schema = schema }

-- A regular expression does not tell every bad IPv6 address.
local function check_addresses(list)
    for _, address in ipairs(list or {}) do
        if not core.ip.validate_cidr_or_ip(address) then
            return false, "invalid ip address: " .. address
        end
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if ok then
        ok, err = check_addresses(conf.whitelist)
    end
    if ok then
        ok, err = check_addresses(conf.blacklist)
    end
    return ok, err
end

local matchers = setmetatable({}, { __mode = "k" }) -- list -> matcher

local function contains(list, address)
    local matcher = matchers[list]
    if not matcher then
        matcher = create_matcher(list)
        matchers[list] = matcher
    end
    return matcher:match(address)
end

function _M.access(conf, ctx)
    local address = ctx.var.remote_addr
    local forbidden
    if conf.whitelist then
        forbidden = not contains(conf.whitelist, address)
    else
        forbidden = contains(conf.blacklist, address)
    end
    if forbidden then
        return conf.response_code, { message = conf.message }
    end
end

return _M
