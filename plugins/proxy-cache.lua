-- Owns which responses are cached, under which key, and on disk or in memory. Configuration, behaviour and messages are
-- those of APISIX 3.18's plugin of this name. On disk the server caches, in memory proxy-cache/memory.lua does.
local core = require "apisix.core"
local disk = require "apisix.plugins.proxy-cache.disk_handler"
local memory = require "apisix.plugins.proxy-cache.memory_handler"
local util = require "apisix.plugins.proxy-cache.util"

local ipairs = ipairs

local DISK, MEMORY = "disk", "memory"
local VARIABLE_OR_TEXT = [[(^[^\$].+$|^\$[0-9a-zA-Z_]+$)]]

-- Part of a key that says who asks: then the plugin adds nothing of that kind.
local IDENTITIES = {
    ["$consumer_name"] = true, ["$consumer_group_id"] = true, ["$remote_user"] = true, ["$http_authorization"] = true,
}

local function conditions()
    return { type = "array", minItems = 1, items = { type = "string", pattern = VARIABLE_OR_TEXT } }
end

local schema = {
    type = "object",
    properties = {
        cache_strategy = { type = "string", enum = { DISK, MEMORY }, default = DISK },
        cache_zone = { type = "string", minLength = 1, maxLength = 100, default = "disk_cache_one" },
        cache_key = {
            type = "array", minItems = 1, default = { "$host", "$request_uri" },
            items = { type = "string", pattern = VARIABLE_OR_TEXT, description = "a key for caching" },
        },
        cache_method = {
            type = "array", minItems = 1, uniqueItems = true, default = { "GET", "HEAD" },
            items = { type = "string", enum = { "GET", "POST", "HEAD" }, description = "supported http method" },
        },
        cache_http_status = {
            type = "array", minItems = 1, uniqueItems = true, default = { 200, 301, 404 },
            items = { type = "integer", minimum = 200, maximum = 599, description = "http response status" },
        },
        cache_bypass = conditions(),
        no_cache = conditions(),
        cache_control = { type = "boolean", default = false },
        cache_set_cookie = { type = "boolean", default = false },
        cache_ttl = { type = "integer", minimum = 1, default = 300 },
        consumer_isolation = { type = "boolean", default = true },
        hide_cache_headers = { type = "boolean", default = false },
        max_resp_body_size = {
            type = "integer", minimum = 1, default = 67108864,
            description = "bytes of a response that the memory strategy holds; larger ones pass uncached",
        },
    },
}

local _M = { version = 0.2, priority = 1085, name = "proxy-cache", schema = schema }

-- What is wrong with the zone of a configuration, or nil.
local function zone_fault(conf)
    local proxy_cache = core.config.local_conf().apisix.proxy_cache
    if not proxy_cache then
        return nil
    end
    for _, zone in ipairs(proxy_cache.zones) do
        if zone.name == conf.cache_zone then
            if (zone.disk_path ~= nil) == (conf.cache_strategy == DISK) then
                return nil
            end
            return "invalid or empty cache_zone for cache_strategy: " .. conf.cache_strategy
        end
    end
    return "cache_zone " .. conf.cache_zone .. " not found"
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    for _, part in ipairs(conf.cache_key) do
        if part == "$request_method" then
            return false, "cache_key variable " .. part .. " unsupported"
        end
    end
    err = zone_fault(conf)
    return err == nil, err
end

local function names_identity(cache_key)
    for _, part in ipairs(cache_key) do
        if IDENTITIES[part] then
            return true
        end
    end
    return false
end

-- The key of a request; with isolation, each consumer or user has keys of his own. \1 stands in no name.
local function key_of(conf, ctx)
    local key = util.generate_complex_value(conf.cache_key, ctx)
    if not conf.consumer_isolation or names_identity(conf.cache_key) then
        return key
    end
    local identity = ctx.consumer_name
    if not identity or identity == "" then
        identity = ctx.var.remote_user
    end
    return identity and identity ~= "" and identity .. "\1" .. key or key
end

local function handler_of(conf)
    return conf.cache_strategy == MEMORY and memory or disk
end

function _M.access(conf, ctx)
    core.log.info("proxy-cache plugin access phase, conf: ", core.json.delay_encode(conf))
    local key = key_of(conf, ctx)
    ctx.var.upstream_cache_key = key
    core.log.info("proxy-cache cache key value:", key)
    return handler_of(conf).access(conf, ctx)
end

function _M.header_filter(conf, ctx)
    core.log.info("proxy-cache plugin header filter phase, conf: ", core.json.delay_encode(conf))
    handler_of(conf).header_filter(conf, ctx)
end

function _M.body_filter(conf, ctx)
    core.log.info("proxy-cache plugin body filter phase, conf: ", core.json.delay_encode(conf))
    if conf.cache_strategy == MEMORY then
        memory.body_filter(conf, ctx)
    end
end

return _M
