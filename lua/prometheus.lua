-- Owns metrics that all processes count together and anyone of them shows, in a shared dictionary. Clean-room: the
-- functions and messages of nginx-lua-prometheus as APISIX uses it (1.0.0-api7). What a process counts reaches the
-- dictionary at intervals; gauges do at once.
local metrics = require "prometheus.metric"
local names = require "prometheus.names"
local new_store = require("prometheus.store").new
local text = require "prometheus.text"

local ngx = ngx
local get_phase = ngx.get_phase
local error = error
local gsub = string.gsub
local ipairs = ipairs
local setmetatable = setmetatable
local type = type

local ERROR_METRIC = "nginx_metric_errors_total"
local SYNC_INTERVAL = 1       -- seconds
local LOOKUP_MAX_SIZE = 1000  -- series of a metric that a process remembers
local PAUSE = 200             -- series that are shown before others get their turn
local BUCKETS = {             -- seconds
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 10,
}
local CAN_YIELD = { rewrite = true, access = true, content = true, timer = true }
local SUFFIXES = { "_bucket", "_count", "_sum" }

local _M = { _table_to_string = names.shown }
local mt = { __index = _M }

local function options_of(given)
    local options = type(given) == "table" and given or { prefix = given }
    return {
        prefix = options.prefix or "",
        error_metric_name = options.error_metric_name or ERROR_METRIC,
        sync_interval = options.sync_interval or SYNC_INTERVAL,
        lookup_max_size = options.lookup_max_size or LOOKUP_MAX_SIZE,
    }
end

-- dict_name: of the shared dictionary, default prometheus_metrics. options_or_prefix: what metrics' names begin
-- with, or {prefix, error_metric_name, sync_interval (seconds), lookup_max_size}. In init_worker, or in init, and then
-- init_worker() too. Raises in other phases, and without the dictionary.
function _M.init(dict_name, options_or_prefix)
    local phase = get_phase()
    if phase ~= "init" and phase ~= "init_worker" then
        error("Prometheus.init can only be called from init_by_lua_block or init_worker_by_lua_block", 2)
    end
    dict_name = dict_name or "prometheus_metrics"
    local self = setmetatable(options_of(options_or_prefix), mt)
    self.dict_name, self.dict = dict_name, ngx.shared[dict_name]
    if not self.dict then
        error("Dictionary '" .. dict_name .. "' does not seem to exist. Please define the dictionary using "
            .. "`lua_shared_dict`.", 2)
    end
    self.store = new_store(self.dict, function(...)
        return self:log_error_kv(...)
    end)
    self.registry, self.dirty, self.dirty_count = {}, {}, 0
    self.initialized = true
    self:counter(self.error_metric_name, "Number of nginx-lua-prometheus errors")
    self.store:set(self.error_metric_name, 0)
    if phase == "init_worker" then
        self:init_worker(self.sync_interval)
    end
    return self
end

-- In init_worker, after init() in init. sync_interval: seconds.
function _M:init_worker(sync_interval)
    if get_phase() ~= "init_worker" then
        error("Prometheus:init_worker can only be called in init_worker_by_lua_block", 2)
    end
    if self.syncing then
        ngx.log(ngx.WARN, "init_worker() has been called twice. Please do not explicitly call init_worker. "
            .. "Instead, call Prometheus:init() in the init_worker_by_lua_block")
        return
    end
    self.sync_interval = sync_interval or SYNC_INTERVAL
    self.syncing = true
    ngx.timer.every(self.sync_interval, function()
        return self:sync()
    end)
end

-- Give what this process has counted to the dictionary.
function _M:sync()
    local dirty, count = self.dirty, self.dirty_count
    self.dirty_count = 0
    for i = 1, count do
        metrics.sync(dirty[i])
        dirty[i] = nil
    end
end

-- Would a histogram's series and another metric have one name?
local function is_taken(registry, name, kind)
    if registry[name] then
        return true
    end
    for _, suffix in ipairs(SUFFIXES) do
        if kind == "histogram" and registry[name .. suffix] then
            return true
        end
        local stem = gsub(name, suffix .. "$", "")
        if kind ~= "histogram" and stem ~= name and registry[stem] then
            return true
        end
    end
    return false
end

local function register(self, kind, name, help, label_names, buckets, exptime)
    if not self.initialized then
        ngx.log(ngx.ERR, "Prometheus module has not been initialized")
        return nil
    end
    local fault = names.fault(name, label_names)
    if fault then
        self:log_error(fault)
        return nil
    end
    if is_taken(self.registry, name, kind) then
        self:log_error("Duplicate metric ", name)
        return nil
    end
    local metric = metrics.new(self, kind, name, help, label_names, buckets, exptime)
    self.registry[name] = metric
    self.store:describe(metric)
    return metric
end

-- A metric with inc(value, labels), del(labels), reset(). label_names: array, optional. exptime: seconds that a
-- series lives after its last change, optional. Returns nil when the names are wrong or taken, which is logged.
function _M:counter(name, help, label_names, exptime)
    return register(self, "counter", name, help, label_names, nil, exptime)
end

-- The same with set(value, labels), inc(value, labels), dec(value, labels), del(labels), reset().
function _M:gauge(name, help, label_names, exptime)
    return register(self, "gauge", name, help, label_names, nil, exptime)
end

-- The same with observe(value, labels), del(labels), reset(). buckets: their upper bounds, ascending.
function _M:histogram(name, help, label_names, buckets, exptime)
    return register(self, "histogram", name, help, label_names, buckets or BUCKETS, exptime)
end

local paused = 0

local function pause()
    paused = paused + 1
    if paused >= PAUSE then
        paused = 0
        if CAN_YIELD[get_phase()] then
            ngx.sleep(0)
        end
    end
end

-- The metrics of all processes as Prometheus reads them: an array of texts.
function _M:metric_data()
    if not self.initialized then
        ngx.log(ngx.ERR, "Prometheus module has not been initialized")
        return nil
    end
    self:sync()
    return text.lines(self, pause)
end

-- Answer the request with them.
function _M:collect()
    ngx.header.content_type = "text/plain"
    ngx.print(self:metric_data())
end

-- Log an error and count it.
function _M:log_error(...)
    ngx.log(ngx.ERR, ...)
    self.dict:incr(self.error_metric_name, 1, 0)
end

function _M:log_error_kv(key, value, err)
    self:log_error("Error while setting '", key, "' to '", value, "': '", err, "'")
end

return _M
