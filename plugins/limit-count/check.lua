-- Owns what a configuration of limit-count must hold to beyond its schema. Part of limit-count.
local core = require "apisix.core"
local schemas = require "apisix.plugins.limit-count.schema"

local find = string.find
local format = string.format
local ipairs = ipairs
local pairs = pairs
local type = type

local NOT_DELAYED = -1
local MIN_SYNC_INTERVAL = 0.1 -- seconds
local BOTH = "count/time_window and rules cannot be specified at the same time"

-- What makes two configurations of a group differ: what we know of, not what others add to it.
local own_fields = {}
for name in pairs(schemas.schema.properties) do
    own_fields[#own_fields + 1] = name
end

-- group -> the configuration that was seen first
local groups = core.lrucache.new({ type = "plugin", count = 1024 })

local function keep(conf)
    return conf
end

local function is_same(a, b, names)
    for _, name in ipairs(names) do
        if not core.table.deep_eq(a[name], b[name]) then
            return false
        end
    end
    return true
end

local function check_group(conf)
    if conf._vid then
        return false, "group is not supported" -- as the action of a workflow
    end
    local names = core.table.clone(own_fields)
    local of_policy = schemas.policies[conf.policy]
    for name in pairs(of_policy and of_policy.properties or {}) do
        names[#names + 1] = name
    end
    local first = groups(conf.group, "", keep, conf)
    if is_same(first, conf, names) then
        return true
    end
    core.log.error("previous limit-count group ", first.group, " conf: ", core.json.encode(first))
    core.log.error("current limit-count group ", conf.group, " conf: ", core.json.encode(conf))
    return false, "group conf mismatched"
end

local function check_interval(conf)
    local interval = conf.sync_interval
    if conf.policy == "local" or not interval or interval == NOT_DELAYED then
        return true
    elseif interval < MIN_SYNC_INTERVAL then
        return false, "sync_interval should not be smaller than 0.1"
    elseif type(conf.time_window) == "number" and interval >= conf.time_window then
        return false, "sync_interval should be smaller than time_window"
    end
    return true
end

-- Two rules of one key would count in the same counter.
local function check_rules(rules)
    local seen = {}
    for _, rule in ipairs(rules or {}) do
        if seen[rule.key] then
            return false, format("duplicate key '%s' in rules", rule.key)
        end
        seen[rule.key] = true
    end
    return true
end

local function check_own(conf)
    local ok, err = core.schema.check(schemas.schema, conf)
    local has_both = conf.rules and (conf.count or conf.time_window)
    if has_both and (ok or find(err, "value should match only one schema", 1, true)) then
        return false, BOTH
    elseif not ok then
        return false, err
    elseif conf.group and conf.rules then
        return false, "group and rules cannot be specified at the same time"
    end
    if conf.group then
        ok, err = check_group(conf)
        if not ok then
            return false, err
        end
    end
    ok, err = check_interval(conf)
    if not ok then
        return false, err
    end
    return check_rules(conf.rules)
end

-- check(conf, schema_type): fills in defaults. Returns true, or false and the fault.
return function(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(schemas.metadata, conf)
    end
    return check_own(conf)
end
