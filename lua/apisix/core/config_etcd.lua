-- Owns configuration from the store, etcd or embedded: one object for each watched directory, which keeps itself
-- current (config_etcd/cycle.lua) in this worker's own tables. Must never talk to the store but through etcd_cli.
-- Mirrors apisix.core.config_etcd.
local apply = require "apisix.core.config_etcd.apply"
local client = require "apisix.core.config_etcd.client"
local config_local = require "apisix.core.config_local"
local cycle = require "apisix.core.config_etcd.cycle"
local etcd = require "apisix.core.etcd"
local log = require "apisix.core.log"
local preload = require "apisix.core.config_etcd.preload"
local snapshot = require "apisix.core.config_etcd.snapshot"
local status = require "apisix.core.config_etcd.status"
local try_read_attr = require("apisix.core.table").try_read_attr

local ngx_timer_at = ngx.timer.at
local ipairs = ipairs
local setmetatable = setmetatable
local str_sub = string.sub
local tonumber = tonumber
local tostring = tostring

local RESYNC_DELAY = 5 -- seconds
local WATCH_TIMEOUT = 50
local HEALTH_CHECK_TIMEOUT = 10
local STALE_PRELOAD = 60

local _M = {
    version = 0.3,
    local_conf = config_local.local_conf,
    clear_local_cache = config_local.clear_cache,
    test_sync_data = cycle.sync_data,
    test_automatic_fetch = cycle.automatic_fetch,
}

local mt = {
    __index = _M,
    __tostring = function(self)
        return " etcd key: " .. tostring(self.key)
    end,
}

local created_obj = {}

-- Put f in the place of one round of the cycle; for tests.
function _M.inject_sync_data(f)
    cycle.sync = f
end

local function positive(number, default)
    return number and number >= 0 and number or default
end

-- key: a directory such as "/routes" (nil: an object for getkey and server_version alone). opts:
--   automatic      keep it current
--   item_schema    JSON schema of an item
--   checker        function(value, key) -> ok, err, after the schema
--   filter         function(item), after an item has come, changed or gone (then without value)
--   timeout        seconds that one watch waits, instead of the configured watch_timeout
--   single_item    the key itself is the one item
-- Returns the object: values, conf_version, prev_index, :get(id), …; or nil, err.
function _M.new(key, opts)
    opts = opts or {}
    local conf, err = config_local.local_conf()
    if not conf then
        return nil, err
    end
    if opts.automatic and not key then
        return nil, "missing `key` argument"
    end
    local _, prefix = etcd.get_etcd_cli()
    local obj = setmetatable({
        key = key and prefix .. key,
        automatic = opts.automatic,
        item_schema = opts.item_schema,
        checker = opts.checker,
        filter = opts.filter,
        timeout = opts.timeout,
        single_item = opts.single_item,
        resync_delay = positive(conf.etcd.resync_delay, RESYNC_DELAY),
        watch_timeout = positive(conf.etcd.watch_timeout, WATCH_TIMEOUT),
        health_check_timeout = positive(conf.etcd.health_check_timeout, HEALTH_CHECK_TIMEOUT),
        running = true,
        need_reload = true,
        sync_times = 0,
        prev_index = 0,
        conf_version = 0,
        values = {},
        values_hash = {},
    }, mt)
    if key then
        created_obj[key] = obj
    end
    if not opts.automatic then
        obj.etcd_cli = client.new()
        return obj
    end
    status.expect(obj.key)
    local nodes, index, history = preload.take(key, opts.single_item)
    if nodes then
        apply.full(obj, nodes, index, history)
        obj.need_reload = preload.from_snapshot
        if not preload.from_snapshot then
            snapshot.changed()
        end
        status.came(obj.key)
    end
    local ok
    ok, err = ngx_timer_at(0, cycle.automatic_fetch, obj)
    if not ok then
        return nil, "failed to start following " .. key .. ": " .. err
    end
    return obj
end

-- The item of that id (string or number), or nil.
function _M.get(self, id)
    local at = self.values_hash and self.values_hash[tostring(id)]
    return at and self.values[at] or nil
end

-- Read a key ("/server_info/…") now; yields. Returns an answer in the shape of core.etcd.get(), or nil, err.
function _M.getkey(self, key)
    if not self.running then
        return nil, "stopped"
    end
    if not self.etcd_cli then
        return nil, "not inited"
    end
    local _, prefix = etcd.get_etcd_cli()
    local res, err = self.etcd_cli:readdir(prefix .. key)
    if not res then
        return nil, err
    end
    return etcd.get_format(res, prefix .. key, true)
end

-- The directory's items as they are stored, before any default was filled in: an array of {key, value, modifiedIndex};
-- or nil, err. Yields.
function _M.read_stored(self)
    return cycle.read(self)
end

-- Take over these of read_stored()'s items anew, through checks and filter, unless they have changed meanwhile.
function _M.take_again(self, nodes)
    local same = {}
    for _, node in ipairs(nodes) do
        local item = self:get(str_sub(node.key, #self.key + 2))
        if item and item.modifiedIndex == node.modifiedIndex then
            same[#same + 1] = node
        end
    end
    apply.events(self, same)
end

-- Stop following the directory: it stays as it is, and its watch ends.
function _M.close(self)
    self.running = false
    cycle.wake(self)
end

-- The object that was made for key, or nil.
function _M.fetch_created_obj(key)
    return created_obj[key]
end

-- {etcdserver, etcdcluster}, or nil, err; yields.
function _M.server_version(self)
    if not self.running then
        return nil, "stopped"
    end
    local res, err = etcd.server_version()
    if not res then
        return nil, err
    end
    return res.body
end

-- Raise prev_index to version, if that is a number and higher.
function _M.upgrade_version(self, version)
    version = tonumber(version)
    if version and version > self.prev_index then
        self.prev_index = version
    end
end

-- Read the whole configuration before the first request. Returns true; nil, err when the store does not answer: the
-- objects then read it as soon as it does.
function _M.init()
    local conf, err = config_local.local_conf()
    if not conf then
        return nil, err
    end
    if try_read_attr(conf, "apisix", "disable_sync_configuration_during_start") then
        return true
    end
    return preload.load()
end

-- Read it again if what init() read is old. Returns true, or nil, err.
function _M.init_worker()
    status.write(false)
    local conf, err = config_local.local_conf()
    if not conf then
        return nil, err
    end
    local age = preload.age()
    local limit = try_read_attr(conf, "apisix", "worker_startup_time_threshold") or STALE_PRELOAD
    if age and age > limit then
        log.warn("the configuration was read ", age, " seconds ago: reading it again for this worker")
        return preload.load()
    end
    return true
end

-- The worker has made its objects.
_M.started = status.started

-- Let every directory see that the worker is exiting.
function _M.exit_worker()
    cycle.wake()
end

return _M
