-- Owns the default log entry: all that there is to say about a request. Part of apisix.utils.log-util.
local bodies = require "apisix.utils.log-util.bodies"
local core = require "apisix.core"
local VERSION = require("apisix.core.version").VERSION

local ngx = ngx
local now = ngx.now
local start_time = ngx.req.start_time

local _M = {}

-- In milliseconds: the whole time, the upstream's (or nil), and our own.
function _M.latencies(ctx)
    local all = (now() - start_time()) * 1000
    local upstream = ctx.var.upstream_response_time
    upstream = upstream and upstream * 1000
    local own = all - (upstream or 0)
    return all, upstream, own > 0 and own or 0 -- the two are not measured by one clock
end

local function request_of(var, ctx)
    return {
        url = var.scheme .. "://" .. var.host .. ":" .. var.server_port .. var.request_uri,
        uri = var.request_uri,
        method = ngx.req.get_method(),
        headers = ctx.data_mask_headers or ngx.req.get_headers(),
        querystring = ngx.req.get_uri_args(),
        size = var.request_length,
    }
end

local function ids(ctx)
    local route = ctx.matched_route and ctx.matched_route.value
    if not route then
        return ctx.var.host, nil
    end
    return route.service_id or "", route.id
end

local function entry_of(ctx)
    local var = ctx.var
    local latency, upstream_latency, apisix_latency = _M.latencies(ctx)
    local service_id, route_id = ids(ctx)
    return {
        request = request_of(var, ctx),
        response = {
            status = ngx.status,
            headers = ngx.resp.get_headers(),
            size = var.bytes_sent,
        },
        server = { hostname = core.utils.gethostname(), version = VERSION },
        upstream = var.upstream_addr,
        service_id = service_id,
        route_id = route_id,
        consumer = ctx.consumer and { username = ctx.consumer.username } or nil,
        client_ip = core.request.get_remote_client_ip(ctx),
        start_time = start_time() * 1000,
        latency = latency,
        upstream_latency = upstream_latency,
        apisix_latency = apisix_latency,
    }
end

-- The entry of the request that runs; nil when its body, which conf wants, cannot be read.
function _M.entry(ctx, conf)
    local entry = entry_of(ctx)
    if conf.include_resp_body then
        entry.response.body = ctx.resp_body
    end
    if bodies.wants_request(conf, ctx) then
        local body, err = bodies.of_request(conf.max_req_body_bytes)
        if err then
            core.log.error("fail to get request body: ", err)
            return nil
        end
        entry.request.body = body
    end
    return entry
end

return _M
