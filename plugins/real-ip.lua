-- Owns the client's address and port as a proxy in front of the gateway names them, in any variable. Configuration,
-- behaviour and messages are those of APISIX 3.18's plugin of this name. Must never believe a peer that is not trusted.
local client = require "resty.apisix.client"
local core = require "apisix.core"
local ngx_re = require "ngx.re"

local byte = string.byte
local ipairs = ipairs
local match = string.match
local sub = string.sub
local type = type

local BRACKET = byte("[")
local FORWARDED = "http_x_forwarded_for"

local schema = {
    type = "object",
    properties = {
        source = { type = "string", minLength = 1 },
        trusted_addresses = { type = "array", minItems = 1, items = { anyOf = core.schema.ip_def } },
        recursive = { type = "boolean", default = false },
    },
    required = { "source" },
}

local _M = { version = 0.1, priority = 23000, name = "real-ip", schema = schema }

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    for _, address in ipairs(conf.trusted_addresses or {}) do
        if not core.ip.validate_cidr_or_ip(address) then
            return false, "invalid ip address: " .. address
        end
    end
    return true
end

local matchers = core.lrucache.new({ type = "plugin" })

local function is_trusted(conf, ctx, address)
    local matcher, err = core.lrucache.plugin_ctx(matchers, ctx, nil, core.ip.create_ip_matcher, conf.trusted_addresses)
    if not matcher then
        core.log.error("failed to create ip matcher: ", err)
        return false
    end
    return matcher:match(address)
end

-- The last address of X-Forwarded-For or, recursively, the last one that is not trusted; nil without the header.
local function forwarded_address(conf, ctx)
    local list = core.request.headers(ctx)["X-Forwarded-For"]
    if type(list) == "table" then
        list = list[#list]
    end
    if not list then
        return nil
    elseif not (conf.recursive and conf.trusted_addresses) then
        return match(list, ", *([^,]*)$") or list
    end
    local addresses = ngx_re.split(list, ",\\s*", "jo")
    for i = #addresses, 2, -1 do
        if not is_trusted(conf, ctx, addresses[i]) then
            return addresses[i]
        end
    end
    return addresses[1]
end

-- The host and the port (or nil) of an address; nil when it is none, which is logged.
local function parse(address)
    local host, port = core.utils.parse_addr(address)
    if not host or not (core.utils.parse_ipv4(host) or core.utils.parse_ipv6(host)) then
        core.log.warn("bad address: ", address)
        return nil
    elseif port and (port < 1 or port > 65535) then
        core.log.warn("bad port: ", port)
        return nil
    end
    return byte(host) == BRACKET and sub(host, 2, -2) or host, port
end

function _M.rewrite(conf, ctx)
    local var = ctx.var
    if conf.trusted_addresses and not is_trusted(conf, ctx, var.remote_addr) then
        return
    end
    local address
    if conf.source == FORWARDED then
        address = forwarded_address(conf, ctx)
    else
        address = var[conf.source]
    end
    if not address then
        core.log.warn("missing real address")
        return
    end
    local host, port = parse(address)
    if not host then
        return
    end
    core.log.info("set real ip: ", host, ", port: ", port)
    local ok, err = client.set_real_ip(host, port)
    if not ok then
        core.log.error("failed to set real ip: ", err)
        return
    end
    var.remote_addr, var.remote_port = nil, nil -- what was read before
    var.realip_remote_addr, var.realip_remote_port = nil, nil
end

return _M
