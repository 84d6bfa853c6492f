-- Owns graphql_name, graphql_operation and graphql_root_fields: the first operation of a GraphQL request.
-- Parsing is the Lua module 'graphql', where it is installed. Part of apisix.core.ctx.
local config_local = require "apisix.core.config_local"
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local request = require "apisix.core.request"
local try_read_attr = require("apisix.core.table").try_read_attr

local pcall = pcall
local require = require
local tostring = tostring
local type = type

local DEFAULT_MAX_SIZE = 1024 * 1024 -- bytes of request body

local function query_of_get(ctx)
    local query = request.get_uri_args(ctx).query
    if type(query) == "table" then
        query = query[1]
    end
    if type(query) ~= "string" then
        return nil, "failed to read graphql data, args[query] is nil"
    end
    return query
end

local function query_of_post(ctx)
    local max_size = try_read_attr(config_local.local_conf(), "graphql", "max_size") or DEFAULT_MAX_SIZE
    local body, err = request.get_body(max_size, ctx)
    if not body then
        return nil, "failed to read graphql data, " .. (err or "request body has zero size")
    end
    if request.header(ctx, "Content-Type") ~= "application/json" then
        return body
    end
    local object
    object, err = json.decode(body)
    if not object then
        return nil, "failed to read graphql data, " .. err
    end
    if type(object) ~= "table" or type(object.query) ~= "string" then
        return nil, "failed to read graphql data, json body[query] is nil"
    end
    return object.query
end

local READERS = { GET = query_of_get, POST = query_of_post }

local function parse(ctx)
    local found, graphql = pcall(require, "graphql")
    if not found then
        return nil, "graphql_* variables need the Lua module 'graphql', which is not installed"
    end
    local method = request.get_method()
    local read = READERS[method]
    if not read then
        return nil, "graphql not support `" .. method .. "` request"
    end
    local query, err = read(ctx)
    if not query then
        return nil, err
    end
    local ok, document = pcall(graphql.parse, query)
    if not ok then
        return nil, "failed to parse graphql: " .. tostring(document) .. " body: " .. query
    end
    if #document.definitions == 0 then
        return nil, "empty graphql: " .. query
    end
    return document
end

local function describe(document)
    if #document.definitions > 1 then
        log.warn("Multiple operations are not supported. Only the first one is handled")
    end
    local operation = document.definitions[1]
    local root_fields = {}
    for i, field in ipairs(operation.selectionSet.selections) do
        root_fields[i] = try_read_attr(field, "name", "value")
    end
    return {
        name = try_read_attr(operation, "name", "value") or "",
        operation = operation.operation,
        root_fields = root_fields,
    }
end

local _M = {}

-- name: "name", "operation" or "root_fields". Returns its value; nil (logged once per request) where the
-- request is no GraphQL.
function _M.field(ctx, name)
    local parsed = ctx._graphql
    if not parsed then
        local document, err = parse(ctx)
        if document then
            parsed = describe(document)
        else
            log.error(err)
            parsed = {}
        end
        ctx._graphql = parsed
    end
    return parsed[name]
end

return _M
