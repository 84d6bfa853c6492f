-- Owns what a span says of its request: flat arrays of key and value by turns. Part of the plugin opentelemetry.
local core = require "apisix.core"

local byte, sub = string.byte, string.sub
local concat = table.concat
local has_prefix = core.string.has_prefix
local ipairs = ipairs
local pairs = pairs
local tostring = tostring
local type = type

local ASTERISK = byte("*")

local _M = {}

-- What has no value is not said.
local function add(out, key, value)
    if value ~= nil then
        local n = #out
        out[n + 1], out[n + 2] = key, type(value) == "table" and concat(value, ", ") or tostring(value)
    end
end

-- At the request's begin. Returns them, and the name of the span.
function _M.begin(ctx)
    local var = ctx.var
    local method, agent, out = var.method, var.http_user_agent, {}
    add(out, "net.host.name", var.host)
    add(out, "http.method", method)
    add(out, "http.scheme", var.scheme)
    add(out, "http.target", var.request_uri)
    add(out, "http.user_agent", agent)
    add(out, "http.request.method", method)
    add(out, "url.scheme", var.scheme)
    add(out, "url.path", var.uri)
    add(out, "user_agent.original", agent)
    local name, matched = method, ctx.curr_req_matched
    if matched then
        add(out, "apisix.route_id", ctx.route_id)
        add(out, "apisix.route_name", ctx.route_name)
        add(out, "http.route", matched._path)
        name = matched._path and method .. " " .. matched._path or method
    end
    if ctx.service_id then
        add(out, "apisix.service_id", ctx.service_id)
        add(out, "apisix.service_name", ctx.service_name)
    end
    return out, name
end

local function add_headers(out, wanted, ctx)
    local headers = core.request.headers(ctx)
    for _, name in ipairs(wanted) do
        if #name >= 2 and byte(name, -1) == ASTERISK then
            local prefix = sub(name, 1, -2)
            for key, value in pairs(headers) do
                if has_prefix(key, prefix) then
                    add(out, key, value)
                end
            end
        else
            add(out, name, headers[name])
        end
    end
end

-- At its end: add what the configuration wants besides.
function _M.complete(out, conf, ctx, source)
    add(out, "apisix.response_source", source)
    for _, name in ipairs(conf.additional_attributes or {}) do
        add(out, name, ctx.var[name])
    end
    if conf.additional_header_prefix_attributes then
        add_headers(out, conf.additional_header_prefix_attributes, ctx)
    end
end

return _M
