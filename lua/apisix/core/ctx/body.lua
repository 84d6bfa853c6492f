-- Owns the variables that come from the request body: post_arg_NAME (forms), post_arg.PATH (JSON, forms,
-- multipart) and graphql_NAME. Part of apisix.core.ctx.
local config_local = require "apisix.core.config_local"
local core_string = require "apisix.core.string"
local log = require "apisix.core.log"
local request = require "apisix.core.request"
local try_read_attr = require("apisix.core.table").try_read_attr

local find = string.find
local gmatch = string.gmatch
local pcall = pcall
local require = require
local type = type

local MIB = 1024 * 1024
local DEFAULT_MAX_MIB = 64
local FORM = "application/x-www-form-urlencoded"

local _M = {}

-- The value of a field of an urlencoded form: the first one where the name comes twice.
function _M.form_field(ctx, name)
    local content_type = request.header(ctx, "Content-Type")
    if not content_type or not core_string.has_prefix(content_type, FORM) then
        return nil
    end
    local value = request.get_post_args(ctx)[name]
    if type(value) == "table" then
        return value[1]
    end
    return value
end

-- Bytes of body that may be read for a variable; nil for any number.
local function max_size()
    local conf, err = config_local.local_conf()
    if not conf then
        log.error("failed to get local conf: ", err)
    end
    local mib = try_read_attr(conf, "apisix", "max_post_args_readable_size") or DEFAULT_MAX_MIB
    return mib ~= 0 and mib * MIB or nil
end

local function query_jsonpath(body, path)
    local found, jsonpath = pcall(require, "jsonpath")
    if not found then
        log.error("post_arg.", path, " is a JSONPath: it needs the Lua module 'jsonpath', which is not installed")
        return nil
    end
    local results = jsonpath.query(body, "$." .. path)
    return results and #results > 0 and results or nil
end

-- The value at "a.b.c" of the parsed body; an array of values where the path is a JSONPath.
function _M.body_path(ctx, path)
    local body, err = request.get_request_body_table(ctx, nil, max_size())
    if not body then
        log.warn("failed to fetch post args value by key: ", path, " error: ", err)
        return nil
    end
    if find(path, "[%[*]") or find(path, "..", 1, true) then
        return query_jsonpath(body, path)
    end
    for name in gmatch(path, "[^.]+") do
        if type(body) ~= "table" then
            return nil
        end
        body = body[name]
    end
    return body
end

return _M
