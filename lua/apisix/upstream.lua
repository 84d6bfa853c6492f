-- Owns /upstreams and the choice of the upstream of a request. Mirrors apisix.upstream.
local core = require "apisix.core"
local certificate = require "apisix.upstream.certificate"
local discovery = require "apisix.upstream.discovered"
local healthcheck_manager = require "apisix.healthcheck_manager"
local nodes = require "apisix.upstream.nodes"

local byte = string.byte
local error = error
local ipairs = ipairs
local pairs = pairs
local tostring = tostring

local UNAVAILABLE = 503
local BRACKET = byte("[")

local upstreams

local _M = {
    scheme_to_port = nodes.scheme_to_port,
}

-- Have the request go to conf. key and ver: what the balancer's state for it is kept by.
function _M.set(ctx, key, ver, conf)
    if not ctx then
        error("missing argument ctx", 2)
    elseif not key then
        error("missing argument key", 2)
    elseif not ver then
        error("missing argument ver", 2)
    elseif not conf then
        error("missing argument conf", 2)
    end
    ctx.upstream_conf = conf
    ctx.upstream_version = ver
    ctx.upstream_key = key
end

-- The scheme is the upstream's, unless a plugin has set ctx.upstream_scheme.
function _M.set_scheme(ctx, upstream)
    local scheme = ctx.upstream_scheme
    if not scheme then
        scheme = upstream.scheme or "http"
        ctx.upstream_scheme = scheme
    end
    if scheme ~= "http" then -- the variable's default
        ctx.var.upstream_scheme = scheme
    end
end

local function refuse(up_conf)
    if up_conf.service_name then
        local err = discovery.fill(up_conf)
        if err then
            return err
        end
    end
    if not up_conf.nodes or #up_conf.nodes == 0 then
        return "no valid upstream node"
    end
    return nil
end

local SPOKEN = { http = true, https = true }

local function refuse_scheme(api_ctx)
    local scheme = api_ctx.upstream_scheme or "http"
    if not SPOKEN[scheme] then
        return UNAVAILABLE, "upstream scheme '" .. scheme .. "' is not supported: only http and https are"
    end
end

-- Settle the upstream of a request: ctx.matched_upstream, unless a plugin has called set().
-- Returns nothing, or a status and the reason.
function _M.set_by_route(_, api_ctx)
    if api_ctx.upstream_conf then
        return refuse_scheme(api_ctx)
    end
    local up_conf = api_ctx.matched_upstream
    if not up_conf then
        return UNAVAILABLE, "missing upstream configuration in Route or Service"
    end
    local err = refuse(up_conf)
    if err then
        return UNAVAILABLE, err
    end
    _M.set_scheme(api_ctx, up_conf)
    local code, reason = refuse_scheme(api_ctx)
    if code then
        return code, reason
    end
    local ok
    ok, err = nodes.fill(up_conf, api_ctx.upstream_scheme)
    if not ok then
        return UNAVAILABLE, err
    end
    api_ctx.upstream_conf = up_conf
    api_ctx.upstream_key = up_conf.resource_key or up_conf.resource_id
    api_ctx.upstream_version = up_conf.balancer_version
    if up_conf.checks then
        api_ctx.up_checker = healthcheck_manager.fetch_checker(up_conf.resource_key, up_conf.balancer_version, up_conf)
    end
    if up_conf.tls then
        return certificate.set(api_ctx, up_conf.tls, api_ctx.upstream_scheme == "https")
    end
end

-- Returns all items and their version.
function _M.upstreams()
    if not upstreams then
        return nil, nil
    end
    return upstreams.values, upstreams.conf_version
end

-- The upstream of this id with its domains resolved, or nil. May yield.
function _M.get_by_id(up_id)
    local item = upstreams and upstreams:get(tostring(up_id))
    if not item or not item.value then
        core.log.error("failed to find upstream by id: ", up_id)
        return nil
    end
    if item.value.dns_nodes then
        nodes.resolve(item.value)
    end
    return item.value
end

local function each_bare_ipv6(conf, fn)
    for _, node in ipairs(core.table.isarray(conf.nodes or {}) and conf.nodes or {}) do
        if byte(node.host) ~= BRACKET and core.utils.parse_ipv6(node.host) then
            fn(node)
        end
    end
end

-- Check an upstream as a client gives it. Returns true, or false and the reason.
function _M.check_schema(conf)
    local bare = false
    each_bare_ipv6(conf, function()
        bare = true
    end)
    if bare then
        return false, "IPv6 address must be enclosed with '[' and ']'"
    end
    return core.schema.check(core.schema.upstream, conf)
end

-- The schema of `key` for the way of hashing; nil and maybe an error.
local function hash_key_schema(hash_on)
    if hash_on == "vars" then
        return core.schema.upstream_hash_vars_schema
    elseif hash_on == "header" or hash_on == "cookie" then
        return core.schema.upstream_hash_header_schema
    elseif hash_on == "vars_combinations" then
        return core.schema.upstream_hash_vars_combinations_schema
    elseif hash_on == "consumer" then
        return nil
    end
    return nil, hash_on and "invalid hash_on type " .. hash_on or "hash_on is nil"
end

local function check_hash(conf)
    if conf.hash_on ~= "consumer" and not conf.key then
        return false, "missing key"
    end
    local schema, err = hash_key_schema(conf.hash_on)
    if err then
        return false, "type is chash, err: " .. err
    end
    if schema then
        local ok
        ok, err = core.schema.check(schema, conf.key)
        if not ok then
            return false, "invalid configuration: " .. err
        end
    end
    return true
end

-- What a schema cannot say. Bare IPv6 addresses are put in brackets.
local function check_rest(conf)
    each_bare_ipv6(conf, function(node)
        node.host = "[" .. node.host .. "]"
    end)
    if conf.pass_host == "rewrite" and (conf.upstream_host or "") == "" then
        return false, "`upstream_host` can't be empty when `pass_host` is `rewrite`"
    end
    if conf.type == "chash" then
        return check_hash(conf)
    end
    return true
end

-- Check an upstream wholly, as the Admin API does. Returns true, or false and the reason.
function _M.check_upstream_conf(conf)
    local ok, err = _M.check_schema(conf)
    if not ok then
        return false, "invalid configuration: " .. err
    end
    for addr in pairs(core.table.isarray(conf.nodes or {}) and {} or conf.nodes) do
        local _, port = core.utils.parse_addr(addr)
        if port and (port < 1 or port > 65535) then
            return false, "invalid port " .. tostring(port)
        end
    end
    return check_rest(conf)
end

-- Make the upstream inside an item ready for requests; value may be nil.
function _M.filter_upstream(value, parent)
    if not value then
        return
    end
    nodes.prepare(value, parent)
end

-- Begin to watch /upstreams.
function _M.init_worker()
    local err
    upstreams, err = core.config.new("/upstreams", {
        automatic = true,
        item_schema = core.schema.upstream,
        checker = check_rest,
        filter = function(item)
            item.has_domain = false
            _M.filter_upstream(item.value, item)
        end,
    })
    if not upstreams then
        error("failed to create etcd instance for fetching upstream: " .. err)
    end
    healthcheck_manager.init_worker()
end

return _M
