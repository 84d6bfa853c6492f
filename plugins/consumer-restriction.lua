-- Owns who may use a route: lists of consumers, services, routes or consumer groups, and of methods. Configuration,
-- behaviour and messages are those of APISIX 3.18's plugin of this name. Must never authenticate.
local core = require "apisix.core"

local array_find = core.table.array_find
local ipairs = ipairs

local names = { type = "array", minItems = 1, items = { type = "string" } }

local schema = {
    type = "object",
    properties = {
        type = {
            type = "string",
            enum = { "consumer_name", "service_id", "route_id", "consumer_group_id" },
            default = "consumer_name",
        },
        blacklist = names,
        whitelist = names,
        allowed_by_methods = {
            type = "array",
            items = {
                type = "object",
                properties = {
                    user = { type = "string" },
                    methods = { type = "array", minItems = 1, items = core.schema.method_schema },
                },
            },
        },
        rejected_code = { type = "integer", minimum = 200, default = 403 },
        rejected_msg = { type = "string" },
    },
    anyOf = {
        { required = { "blacklist" } },
        { required = { "whitelist" } },
        { required = { "allowed_by_methods" } },
    },
}

local _M = { version = 0.1, priority = 2400, name = "consumer-restriction", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

-- Whom no entry names may use every method.
local function may_use(entries, method, value)
    for _, entry in ipairs(entries) do
        if entry.user == value then
            return array_find(entry.methods, method) ~= nil
        end
    end
    return true
end

local function is_forbidden(conf, value)
    if conf.blacklist and array_find(conf.blacklist, value) then
        return true
    elseif conf.whitelist and array_find(conf.whitelist, value) then
        return false -- whatever the method is
    elseif conf.whitelist then
        return true
    end
    return conf.allowed_by_methods ~= nil
        and not may_use(conf.allowed_by_methods, core.request.get_method(), value)
end

function _M.access(conf, ctx)
    local value = ctx[conf.type]
    if not value then
        return 401, { message = "The request is rejected, please check the " .. conf.type .. " for this request" }
    elseif is_forbidden(conf, value) then
        return conf.rejected_code, { message = conf.rejected_msg or "The " .. conf.type .. " is forbidden." }
    end
end

return _M
