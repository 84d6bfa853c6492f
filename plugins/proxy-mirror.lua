-- Owns which requests are mirrored, and where to. Configuration, behaviour and messages are those of APISIX 3.18's
-- plugin of this name; the server sends the copies and drops their answers.
local client = require "resty.apisix.client"
local core = require "apisix.core"

local find = string.find
local match = string.match
local random = math.random
local var = ngx.var

local schema = {
    type = "object",
    properties = {
        host = { type = "string", pattern = [=[^(http(s)?|grpc(s)?):\/\/([\da-zA-Z.-]+|\[[\da-fA-F:]+\])(:\d+)?$]=] },
        path = { type = "string", pattern = [[^/[^?&]+$]] },
        path_concat_mode = {
            type = "string", enum = { "replace", "prefix" }, default = "replace",
            description = "the concatenation mode for custom path",
        },
        sample_ratio = { type = "number", minimum = 0.00001, maximum = 1, default = 1 },
    },
    required = { "host" },
}

local _M = { version = 0.1, priority = 1010, name = "proxy-mirror", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

-- conf.host with an address for the host's name; as it is when the name cannot be found now.
local function resolve(host)
    local scheme, name, port = match(host, "^(%w+)://(.-)(:?%d*)$")
    if not find(name, "[^%d.]") or find(name, "[", 1, true) then
        return host
    end
    local address, err = core.resolver.parse_domain(name)
    if not address then
        core.log.error("dns resolver resolves domain: ", name, " error: ", err,
            " will continue to use the host: ", name)
        return host
    end
    local resolved = scheme .. "://" .. address .. port
    core.log.info(host, " is resolved to: ", resolved)
    return resolved
end

-- The path and query that the copy has.
local function target(conf, ctx)
    local own = ctx.var
    local query = own.is_args .. (own.args or "")
    local path = conf.path
    if path and conf.path_concat_mode == "replace" then
        return path .. query
    end
    local upstream_uri = own.upstream_uri
    local uri = upstream_uri and upstream_uri ~= "" and upstream_uri or own.uri .. query
    return path and path .. uri or uri
end

local function is_sampled(conf)
    if conf.sample_ratio == 1 then
        return true
    end
    local value = random()
    core.log.info("mirror request sample_ratio conf: ", conf.sample_ratio, ", random value: ", value)
    return value < conf.sample_ratio
end

function _M.rewrite(conf, ctx)
    core.log.info("proxy mirror plugin rewrite phase, conf: ", core.json.delay_encode(conf))
    if not is_sampled(conf) then
        return
    end
    local uri, host = target(conf, ctx), resolve(conf.host)
    ctx.var.upstream_mirror_host = host
    ctx.var.upstream_mirror_uri = host .. uri
    ctx.enable_mirror = true
    client.enable_mirror()
end

-- The path of a gRPC copy: what all plugins have made of the URI, which ctx.var may still hold as it was.
function _M.before_proxy(conf, ctx)
    if ctx.enable_mirror then
        ctx.var.upstream_mirror_grpc_path = var.uri
    end
end

return _M
