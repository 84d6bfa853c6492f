-- Owns what the Control API shows of this worker's configuration: items as the worker holds them. Must never show what
-- the worker keeps beside an item for itself.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local router = require "apisix.router"
local service = require "apisix.http.service"
local upstream = require "apisix.upstream"

local format = string.format
local ipairs = ipairs
local ngx = ngx
local setmetatable = setmetatable
local type = type

-- What an item is in the store; the rest is the worker's.
local FIELDS = { "key", "value", "createdIndex", "modifiedIndex", "update_count", "has_domain", "orig_modifiedIndex" }

local _M = {}

-- Only what JSON can say of a value, functions and metatables left out.
local function plain(value)
    if type(value) ~= "table" then
        return type(value) ~= "function" and type(value) ~= "thread" and value or nil
    end
    return core.table.deepcopy(value)
end

local function copy(item)
    local shown = {}
    for _, name in ipairs(FIELDS) do
        shown[name] = plain(item[name])
    end
    shown.clean_handlers = {}
    return shown
end

local function segment(number)
    return core.utils.split_uri(ngx.var.uri)[number]
end

-- The two handlers of one kind: all items, and the one whose id is the last part of the path.
local function handlers(kind, items)
    local function all()
        local infos = {}
        for _, item in core.config_util.iterate_values(items() or {}) do
            infos[#infos + 1] = copy(item)
        end
        return 200, setmetatable(infos, core.json.array_mt)
    end
    local function one()
        local id = segment(4)
        for _, item in core.config_util.iterate_values(items() or {}) do
            if item.value.id == id then
                return 200, copy(item)
            end
        end
        return 404, { error_msg = format("%s[%s] not found", kind, id) }
    end
    return all, one
end

_M.routes, _M.route = handlers("route", router.http_routes)
_M.services, _M.service = handlers("service", service.services)
_M.upstreams, _M.upstream = handlers("upstream", upstream.upstreams)

-- GET /v1/plugin_metadatas: of the plugins of config.yaml.
function _M.metadatas()
    local found = {}
    for _, name in ipairs(core.config.local_conf().plugins) do
        local metadata = plugin.plugin_metadata(name)
        if metadata then
            found[#found + 1] = metadata.value
        end
    end
    return 200, setmetatable(found, core.json.array_mt)
end

-- GET /v1/plugin_metadata/NAME
function _M.metadata()
    local name = segment(4)
    local found = plugin.plugin_metadata(name)
    if not found then
        return 404, { error_msg = format("plugin metadata[%s] not found", name) }
    end
    return 200, found.value
end

-- GET /v1/schema
function _M.schema()
    local schema = core.schema
    return 200, {
        main = {
            consumer = schema.consumer,
            consumer_group = schema.consumer_group,
            global_rule = schema.global_rule,
            graphql_cost_decoration = schema.graphql_cost_decoration,
            plugin_config = schema.plugin_config,
            plugins = schema.plugins,
            proto = schema.proto,
            route = schema.route,
            service = schema.service,
            ssl = schema.ssl,
            stream_route = schema.stream_route,
            upstream = schema.upstream,
            upstream_hash_header_schema = schema.upstream_hash_header_schema,
            upstream_hash_vars_schema = schema.upstream_hash_vars_schema,
        },
        plugins = plugin.get_all({
            version = true, priority = true, schema = true, metadata_schema = true, consumer_schema = true,
            type = true, scope = true,
        }),
        stream_plugins = {},
    }
end

return _M
