-- Owns metrics and their series: what is counted in this process until it is given to the shared dictionary. On the
-- path of requests: a series is found by a table for each label, counting changes numbers of this process alone.
-- Part of the module prometheus.
local names = require "prometheus.names"
local new_table = require "table.new"
local part = require("prometheus.store").part

local ngx = ngx
local format = string.format
local pairs = pairs
local setmetatable = setmetatable

local NOT_STARTED = "counter not initialized! Have you called Prometheus:init() from the init_worker_by_lua_block "
    .. "nginx phase?"

local Counter, Gauge, Histogram = {}, {}, {}

local _M = {}

local LEAF = {} -- the key of a series: no label's value

local function new_series(self, labels)
    local series = { metric = self, id = self.name .. names.labels(self.label_names, labels), dirty = false }
    if self.type == "histogram" then
        series.sum, series.counts = 0, new_table(self.bucket_count + 1, 0)
        for i = 1, self.bucket_count + 1 do
            series.counts[i] = 0
        end
    else
        series.value = 0
    end
    return series
end

local function count_mismatch(self, labels, count)
    return format("incorrect label count for metric %s, expected %d, got %d (%s)", self.name, self.label_count,
        count, names.shown(labels))
end

local function make_way(self, labels)
    local node = self.lookup
    for i = 1, self.label_count do
        local label = labels[i]
        if label == nil then
            return nil, format("unexpected nil value for label %s of %s", self.label_names[i], self.name)
        end
        node[label] = node[label] or {}
        node = node[label]
    end
    return node
end

local function create(self, labels)
    local count = labels and #labels or 0
    if count ~= self.label_count then
        return nil, count_mismatch(self, labels, count)
    end
    if self.lookup_size >= self.lookup_max_size then
        self.lookup, self.lookup_size = {}, 0
    end
    local node, err = make_way(self, labels)
    if not node then
        return nil, err
    end
    local series = new_series(self, labels)
    node[LEAF] = series
    self.lookup_size = self.lookup_size + 1
    return series
end

-- The series of these label values; nil when they are wrong, which is logged.
local function find(self, labels)
    local node = self.lookup
    for i = 1, self.label_count do
        local label = labels and labels[i]
        node = label ~= nil and node[label]
        if not node then
            break
        end
    end
    local series = node and node[LEAF]
    if series and (not labels or labels[self.label_count + 1] == nil) then
        return series
    end
    local err
    series, err = create(self, labels)
    if not series then
        self.parent:log_error(err)
    end
    return series
end

-- Note that there is something to give to the dictionary. Returns false when nobody would.
local function mark(self, series)
    local parent = self.parent
    if not parent.syncing then
        parent:log_error(NOT_STARTED)
        return false
    end
    local count = parent.dirty_count + 1
    parent.dirty[count], parent.dirty_count = series, count
    series.dirty = true
    return true
end

-- Count: value, 1 by default, must not be negative; labels: array of values in the order of the labels' names.
function Counter:inc(value, labels)
    value = value or 1
    if value < 0 then
        return self.parent:log_error_kv(self.name, value, "Value should not be negative")
    end
    local series = find(self, labels)
    if series and (series.dirty or mark(self, series)) then
        series.value = series.value + value
    end
end

function Gauge:inc(value, labels)
    local series = find(self, labels)
    if series then
        self.store:incr(series.id, value or 1, self.exptime)
    end
end

function Gauge:dec(value, labels)
    return Gauge.inc(self, -(value or 1), labels)
end

function Gauge:set(value, labels)
    if not value then
        return self.parent:log_error("No value passed for " .. self.name)
    end
    local series = find(self, labels)
    if series then
        self.store:set(series.id, value, self.exptime)
    end
end

function Histogram:observe(value, labels)
    if not value then
        return self.parent:log_error("No value passed for " .. self.name)
    end
    local series = find(self, labels)
    if not series or not (series.dirty or mark(self, series)) then
        return
    end
    local buckets, count = self.buckets, self.bucket_count
    local i = 1
    while i <= count and value > buckets[i] do
        i = i + 1
    end
    series.counts[i] = series.counts[i] + 1
    series.sum = series.sum + value
end

local function sync_histogram(self, series)
    local store, exptime, id, counts = self.store, self.exptime, series.id, series.counts
    store:incr(id, series.sum, exptime)
    series.sum = 0
    for i = 1, self.bucket_count + 1 do
        if counts[i] > 0 or exptime then
            store:incr_part(part(id, i), counts[i], exptime)
            counts[i] = 0
        end
    end
end

-- Give what was counted to the dictionary.
function _M.sync(series)
    local self = series.metric
    series.dirty = false
    if self.type == "histogram" then
        return sync_histogram(self, series)
    end
    self.store:incr(series.id, series.value, self.exptime)
    series.value = 0
end

-- What the other processes have counted of a series must not come after its end.
local function wait_for_others(self)
    if self.type ~= "gauge" then
        self.parent:sync()
        ngx.sleep(self.parent.sync_interval)
    end
end

-- Remove one series, in all processes.
local function del(self, labels)
    local series = find(self, labels)
    if series then
        wait_for_others(self)
        self.store:delete(series.id, (self.bucket_count or -1) + 1)
    end
end
Counter.del, Gauge.del, Histogram.del = del, del, del

local function no_pause() end

-- Remove all of a metric's series, in all processes.
local function reset(self)
    wait_for_others(self)
    local prefix = self.name .. "{"
    for _, id in pairs((self.store:list(no_pause))) do
        if id == self.name or id:sub(1, #prefix) == prefix then
            self.store:delete(id, (self.bucket_count or -1) + 1)
        end
    end
    self.lookup, self.lookup_size = {}, 0
end
Counter.reset, Gauge.reset, Histogram.reset = reset, reset, reset

local CLASSES = {
    counter = { __index = Counter }, gauge = { __index = Gauge }, histogram = { __index = Histogram },
}

-- A metric of a Prometheus object; kind: "counter", "gauge" or "histogram". exptime: seconds after its last change
-- that a series lives, or nil.
function _M.new(parent, kind, name, help, label_names, buckets, exptime)
    return setmetatable({
        parent = parent, store = parent.store, type = kind, name = name, help = help,
        label_names = label_names, label_count = label_names and #label_names or 0,
        lookup = {}, lookup_size = 0, lookup_max_size = parent.lookup_max_size,
        buckets = buckets, bucket_count = buckets and #buckets, exptime = exptime,
    }, CLASSES[kind])
end

return _M
