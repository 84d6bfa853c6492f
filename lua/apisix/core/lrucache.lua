-- Owns caches of made objects: f(key, version, create, …) returns what create(…) made for this key and
-- version, until it is too old. Per worker. Mirrors apisix.core.lrucache.
local log = require "apisix.core.log"
local lru_new = require("resty.lrucache").new
local clear = require "table.clear"
local semaphore = require "ngx.semaphore"

local ngx = ngx
local error = error
local ipairs = ipairs
local pairs = pairs
local pcall = pcall
local select = select
local setmetatable = setmetatable
local tostring = tostring
local unpack = unpack

local GLOBAL_ITEMS, GLOBAL_TTL = 1024, 3600
local PLUGIN_ITEMS, PLUGIN_TTL = 8, 300
local CREATE_TIMEOUT = 5 -- seconds that one creator waits for another
local REFRESH_INTERVAL = 1

local CAN_YIELD = {
    ssl_session_fetch = true, ssl_session_store = true,
    rewrite = true, access = true, content = true, timer = true,
}

-- cache -> key -> what makes the object anew, for caches that refresh in the background.
local refreshes = setmetatable({}, { __mode = "k" })

-- What was asked for and is past its time: made valid again or, if stale objects are invalid, served only
-- while a refresh is under way.
local function revive(self, key, stale, create, ...)
    if not self.invalid_stale then
        self.lru:set(key, stale, self.ttl)
        return stale
    end
    if self.refresh_stale then
        local args = { n = select("#", ...), ... }
        refreshes[self][key] = { create = create, args = args, ver = stale.ver }
        return stale
    end
    return nil
end

local function fetch(self, key, version, create, ...)
    local entry, stale = self.lru:get(key)
    if entry and entry.ver == version then
        return entry
    end
    if stale and stale.ver == version then
        return revive(self, key, stale, create, ...)
    end
    return nil
end

local function store(self, key, version, object, err)
    if object ~= nil then
        self.lru:set(key, { val = object, ver = version }, self.ttl)
    elseif self.negative then
        self.negative:set(key, { err = err, ver = version }, self.neg_ttl)
    end
    return object, err
end

local function make(self, key, version, create, ...)
    return store(self, key, version, create(...))
end

local function enter(self, key)
    local lock = self.locks[key]
    if not lock then
        lock = { semaphore = semaphore.new(1), users = 0 }
        self.locks[key] = lock
    end
    lock.users = lock.users + 1
    return lock
end

local function leave(self, key, lock)
    lock.users = lock.users - 1
    if lock.users == 0 then
        self.locks[key] = nil
    end
end

local function unlock(self, key, lock, ok, object, err)
    leave(self, key, lock)
    lock.semaphore:post(1)
    if not ok then
        error(object, 0)
    end
    return object, err
end

-- Of the tasks that miss the same key, one creates; the others wait and find its object.
local function make_serially(self, key, version, create, ...)
    local lock = enter(self, key)
    local ok, err = lock.semaphore:wait(CREATE_TIMEOUT)
    if not ok then
        leave(self, key, lock)
        return nil, "failed to acquire the lock: " .. err
    end
    local entry = fetch(self, key, version, create, ...)
    if entry then
        return unlock(self, key, lock, true, entry.val)
    end
    return unlock(self, key, lock, pcall(make, self, key, version, create, ...))
end

local function get(self, key, version, create, ...)
    if self.negative then
        local failure = self.negative:get(key)
        if failure and failure.ver == version then
            return nil, failure.err
        end
    end
    local entry = fetch(self, key, version, create, ...)
    if entry then
        return entry.val
    end
    if self.locks and CAN_YIELD[ngx.get_phase()] then
        return make_serially(self, key, version, create, ...)
    end
    return make(self, key, version, create, ...)
end

-- opts (all optional): type "plugin" for small, short-lived caches; count; ttl, seconds; invalid_stale: an
-- object too old is made anew (else used on while its version is the same); refresh_stale: … in the
-- background, the old one serving meanwhile; serial_creating: one creator per key; neg_ttl and neg_count:
-- remember failures. Returns function(key, version, create, …) -> object, err.
local function new(opts)
    opts = opts or {}
    local for_plugin = opts.type == "plugin"
    local self = {
        lru = lru_new(opts.count or (for_plugin and PLUGIN_ITEMS or GLOBAL_ITEMS)),
        ttl = opts.ttl or (for_plugin and PLUGIN_TTL or GLOBAL_TTL),
        invalid_stale = opts.invalid_stale,
        refresh_stale = opts.refresh_stale,
        locks = opts.serial_creating and {},
        neg_ttl = opts.neg_ttl,
        negative = opts.neg_ttl and opts.neg_count and lru_new(opts.neg_count),
    }
    if self.refresh_stale then
        refreshes[self] = {}
    end
    return function(key, version, create, ...)
        return get(self, key, version, create, ...)
    end
end

local function key_of(api_ctx, extra_key)
    local key = api_ctx.conf_type .. "#" .. api_ctx.conf_id
    if extra_key then
        return key .. "#" .. extra_key
    end
    return key
end

-- The object of a plugin's configuration on the matched route, service or consumer.
-- lrucache: from new(); extra_key: nil, or what tells this object from the configuration's others.
local function plugin_ctx(lrucache, api_ctx, extra_key, create, ...)
    return lrucache(key_of(api_ctx, extra_key), api_ctx.conf_version, create, ...)
end

-- "<conf_type>#<conf_id>[#<extra_key>]#<conf_version>"
local function plugin_ctx_id(api_ctx, extra_key)
    return key_of(api_ctx, extra_key) .. "#" .. api_ctx.conf_version
end

-- A failed refresh stays, to be tried again unless a later one has taken its place.
local function refresh(self, key, job)
    local object, err = job.create(unpack(job.args, 1, job.args.n))
    if object ~= nil then
        self.lru:set(key, { val = object, ver = job.ver }, self.ttl)
        log.info("successfully refresh stale obj for key ", tostring(key), " to ver ", job.ver)
        return
    end
    log.error("failed to refresh stale obj for key ", tostring(key), ": ", err)
    refreshes[self][key] = refreshes[self][key] or job
end

-- Creating may yield, and requests add jobs meanwhile: hence first a list of what is due.
local function refresh_all()
    local due = {}
    for self, jobs in pairs(refreshes) do
        for key, job in pairs(jobs) do
            due[#due + 1] = { self, key, job }
        end
        clear(jobs)
    end
    for _, each in ipairs(due) do
        refresh(each[1], each[2], each[3])
    end
end

-- Starts the refreshing in the background. Once per worker.
local function init_worker()
    local running = false
    return ngx.timer.every(REFRESH_INTERVAL, function(premature)
        if premature or running or ngx.worker.exiting() then
            return
        end
        running = true
        local ok, err = pcall(refresh_all)
        if not ok then
            log.error("failed to run timer_refresh_stale: ", err)
        end
        running = false
    end)
end

return {
    version = 0.1,
    init_worker = init_worker,
    new = new,
    global = new(),
    plugin_ctx = plugin_ctx,
    plugin_ctx_id = plugin_ctx_id,
}
