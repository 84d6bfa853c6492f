-- Owns the putting together of limiters: a window (fixed or sliding) over a store (this machine's memory or redis),
-- and the delay of what goes to redis. Part of limit-count.
local core = require "apisix.core"
local delayed = require "apisix.plugins.limit-count.delayed"
local memory = require "apisix.plugins.limit-count.memory"
local plugin = require "apisix.plugin"
local providers = require "apisix.plugins.limit-count.providers"
local redis = require "apisix.plugins.limit-count.redis"
local windows = {
    fixed = require "apisix.plugins.limit-count.fixed",
    sliding = require "apisix.plugins.limit-count.sliding",
}

local NOT_DELAYED = -1

local cache = core.lrucache.new({ type = "plugin", count = 8192, serial_creating = true })

local _M = {}

-- A limiter of this machine alone, or nil, err.
local function new_local(conf, rule, dict_name)
    local store, err = memory.new(dict_name)
    if not store then
        return nil, err
    end
    return windows[conf.window_type or "fixed"].new(store, rule.count, rule.time_window)
end

local function is_delayed(conf, rule)
    local interval = conf.sync_interval
    return interval and interval ~= NOT_DELAYED and rule.time_window > interval
end

local function create(conf, rule, name)
    local dict_name = "plugin-" .. name
    if not conf.policy or conf.policy == "local" then
        return new_local(conf, rule, dict_name)
    end
    local provider, err = providers.new(conf, dict_name)
    if not provider then
        return nil, err
    end
    local window = windows[conf.window_type or "fixed"]
    local limiter = window.new(redis.new(provider), rule.count, rule.time_window, dict_name)
    limiter.is_remote = true
    if not is_delayed(conf, rule) then
        return limiter
    end
    local fallback
    fallback, err = new_local(conf, rule, dict_name)
    if not fallback then
        return nil, err
    end
    return delayed.new(limiter, fallback, dict_name, rule.time_window, conf.sync_interval)
end

-- The limiter of a rule: limiter:incoming(counter, cost) counts and returns 0, what remains, seconds until the reset;
-- or nil, "rejected", seconds; or nil, err. limiter:commit(counter, cost) counts in any case and returns what
-- remains (0 at least), seconds; or nil, err. May yield. Returns nil, err if it cannot be made.
function _M.get(conf, rule, ctx, name)
    local key = name .. "#" .. plugin.conf_version(conf) .. "#" .. rule.count .. "#" .. rule.time_window
    return core.lrucache.plugin_ctx(cache, ctx, key, create, conf, rule, name)
end

return _M
