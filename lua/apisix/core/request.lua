-- Owns the reading and changing of the client's request. What is parsed once is kept in ctx.
-- Mirrors apisix.core.request; the body stands in core/request_body.lua.
local body = require "apisix.core.request_body"
local log = require "apisix.core.log"
local ngx_req = require "ngx.req"

local ngx = ngx
local error = error
local format = string.format
local get_headers = ngx.req.get_headers
local gsub = string.gsub
local insert = table.insert
local lower = string.lower
local pcall = pcall
local require = require
local tonumber = tonumber
local tostring = tostring
local type = type

-- Tells whether headers were set since it was last asked to forget; without it they are read each time.
local has_header_watch, header_watch = pcall(require, "resty.apisix.request")

local _M = {
    get_http_version = ngx.req.http_version,
    get_method = ngx.req.get_method,
    get_body = body.get_body,
}

local function ctx_or_current(ctx)
    return ctx or ngx.ctx.api_ctx
end

-- Returns the request's headers: lower-cased name -> value, an array of values where a name comes twice.
local function headers(ctx)
    if not has_header_watch then
        return (get_headers())
    end
    ctx = ctx_or_current(ctx)
    if header_watch.is_request_header_set() then
        header_watch.clear_request_header()
        ctx.headers = nil
    end
    local all = ctx.headers
    if not all then
        all = get_headers()
        ctx.headers = all
    end
    return all
end
_M.headers = headers

-- Returns the first value of a header, whatever the case of name, or nil.
function _M.header(ctx, name)
    local value = headers(ctx)[name]
    if type(value) == "table" then
        return value[1]
    end
    return value
end

-- Keeps ctx.headers true to a change that we made ourselves.
local function update_kept_headers(ctx, name, value, override)
    local kept = ctx and ctx.headers
    if not kept then
        return
    end
    local key = lower(name)
    local present = kept[key]
    if override or not present then
        kept[key] = value
    elseif type(present) == "table" then
        insert(present, value)
    else
        kept[key] = { present, value }
    end
end

-- The variables that a header's name stands behind, by the name as plugins write it: few, and bounded.
local VARIABLES_MAX = 1000
local variables, variables_n = {}, 0

local function variables_of(name)
    local found = variables[name]
    if not found then
        local variable = "http_" .. lower(name)
        found = { variable, (gsub(variable, "-", "_")) }
        if variables_n < VARIABLES_MAX then
            variables_n = variables_n + 1
            variables[name] = found
        end
    end
    return found
end

local function forget_variable(ctx, name)
    local var = ctx and ctx.var
    if var then
        local found = variables_of(name)
        var[found[1]] = nil
        var[found[2]] = nil
    end
end

local function change_header(change, function_name, ctx, name, value)
    if type(ctx) == "string" then
        log.warn("DEPRECATED: use ", function_name, "(ctx, header_name, header_value) instead")
        ctx, name, value = nil, ctx, name
    end
    if type(name) ~= "string" then
        error(format("invalid header name %q: got %s, expected string", tostring(name), type(name)), 3)
    end

    local changed_before = has_header_watch and header_watch.is_request_header_set()
    change(name, value)
    forget_variable(ctx, name)
    if has_header_watch and not changed_before then
        header_watch.clear_request_header()
        update_kept_headers(ctx, name, value, function_name == "set_header")
    end
end

-- Sets a request header; value nil removes it. Raises unless name is a string.
function _M.set_header(ctx, name, value)
    change_header(ngx.req.set_header, "set_header", ctx, name, value)
end

-- Adds a request header, beside those of the same name. Raises unless name is a string.
function _M.add_header(ctx, name, value)
    change_header(ngx_req.add_header, "add_header", ctx, name, value)
end

-- The peer of the connection, whoever it speaks for.
function _M.get_ip(ctx)
    local var = ctx_or_current(ctx).var
    return var.realip_remote_addr or var.remote_addr or ""
end

-- The client: the peer, or whom a trusted peer named.
function _M.get_remote_client_ip(ctx)
    return ctx_or_current(ctx).var.remote_addr or ""
end

function _M.get_remote_client_port(ctx)
    return tonumber(ctx_or_current(ctx).var.remote_port)
end

-- All query arguments, decoded: name -> value, true, or an array where a name comes twice.
function _M.get_uri_args(ctx)
    ctx = ctx_or_current(ctx)
    local args = ctx.req_uri_args
    if not args then
        args = ngx.req.get_uri_args(0)
        ctx.req_uri_args = args
    end
    return args
end

-- args: text, or a table as get_uri_args() gives it.
function _M.set_uri_args(ctx, args)
    ctx_or_current(ctx).req_uri_args = nil
    return ngx.req.set_uri_args(args)
end

function _M.get_post_args(ctx)
    return body.get_post_args(ctx_or_current(ctx))
end

-- Returns the body as a table: JSON, urlencoded or multipart form, by content_type or else by the request's.
-- max_size: bytes. Returns nil, err where it cannot.
function _M.get_request_body_table(ctx, content_type, max_size)
    ctx = ctx_or_current(ctx)
    local kept, err = body.get_kept_table(ctx, content_type)
    if kept or err then
        return kept, err
    end
    return body.parse_table(ctx, content_type or _M.header(ctx, "Content-Type") or "", max_size)
end

-- As get_request_body_table() for JSON, whatever the content type; but nil, {message = err}.
function _M.get_json_request_body_table(max_size)
    local object, err = _M.get_request_body_table(nil, body.JSON, max_size)
    if not object then
        return nil, { message = err }
    end
    return object
end

function _M.get_scheme(ctx)
    return ctx_or_current(ctx).var.scheme or ""
end

function _M.get_host(ctx)
    return ctx_or_current(ctx).var.host or ""
end

-- The port of ours that the request came to.
function _M.get_port(ctx)
    return tonumber(ctx_or_current(ctx).var.server_port)
end

return _M
