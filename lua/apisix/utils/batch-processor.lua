-- Owns batches: entries that are collected until there are enough of them or they have waited long enough, and
-- then given to a function, again and again while it fails and may try again. Must never look into an entry.
-- Mirrors apisix.utils.batch-processor.
local core = require "apisix.core"

local error_log = core.log.error
local ipairs = ipairs
local loaded = package.loaded
local new_table = require "table.new"
local ngx = ngx
local now = ngx.now
local exiting = ngx.worker.exiting
local pcall = pcall
local setmetatable = setmetatable
local timer_at = ngx.timer.at
local type = type

local EXPORTER = "apisix.plugins.prometheus.exporter"

local _M = {
    schema = {
        type = "object",
        properties = {
            name = { type = "string", default = "log buffer" },
            max_retry_count = { type = "integer", minimum = 0, default = 0 },
            retry_delay = { type = "integer", minimum = 0, default = 1 },
            buffer_duration = { type = "integer", minimum = 1, default = 60 },
            inactive_timeout = { type = "integer", minimum = 1, default = 5 },
            batch_max_size = { type = "integer", minimum = 1, default = 1000 },
        },
    },
}
local mt = { __index = _M }

local function new_batch()
    return { entries = {}, retry_count = 0 }
end

-- A worker that exits has no more timers that wait: run it at once then. Returns true, or false and why not.
local function start_timer(delay, callback, ...)
    local ok, err = timer_at(delay, callback, ...)
    if not ok and err == "process exiting" and delay > 0 then
        ok, err = timer_at(0, callback, ...)
    end
    return ok, err
end

local gauge

-- The gauge of entries that wait; nil as long as nobody exports metrics.
local function find_gauge()
    local exporter = loaded[EXPORTER]
    local prometheus = type(exporter) == "table" and exporter.get_prometheus()
    if not prometheus then
        return nil
    end
    gauge = exporter.batch_process_entries and exporter.batch_process_entries()
        or prometheus:gauge("batch_process_entries", "batch process remaining entries",
            { "name", "route_id", "server_addr" })
    return gauge
end

local function report(self, count)
    if not self.labels then
        return
    end
    local found = gauge or find_gauge()
    if found then
        found:set(count, self.labels)
    end
end

local run

local function schedule(self, delay, batch)
    local ok, err = start_timer(delay, run, self, batch)
    if not ok then
        error_log("failed to create process timer: ", err)
    end
end

local function drop_first(entries, count)
    local rest = new_table(#entries - count, 0)
    for i = count + 1, #entries do
        rest[i - count] = entries[i]
    end
    return rest
end

-- first_fail: the entries before it have been taken.
local function note_failure(self, batch, err, first_fail)
    local count = #batch.entries
    if not first_fail then
        return error_log("Batch Processor[", self.name, "] failed to process entries: ", err)
    end
    error_log("Batch Processor[", self.name, "] failed to process entries [", count + 1 - first_fail, "/", count,
        "]: ", err)
    batch.entries = drop_first(batch.entries, first_fail - 1)
    self.processed_entries = self.processed_entries + first_fail - 1
end

local function try_again(self, batch)
    batch.retry_count = batch.retry_count + 1
    if batch.retry_count <= self.max_retry_count and #batch.entries > 0 then
        return schedule(self, self.retry_delay, batch)
    end
    self.processed_entries = self.processed_entries + #batch.entries
    error_log("Batch Processor[", self.name, "] exceeded the max_retry_count[", batch.retry_count,
        "] dropping the entries")
end

function run(_, self, batch)
    local called, ok, err, first_fail = pcall(self.func, batch.entries, self.batch_max_size)
    if not called then -- an error must not leave the entries counted as waiting for ever
        ok, err = false, ok
    end
    if not ok then
        note_failure(self, batch, err, first_fail)
        return try_again(self, batch)
    end
    self.processed_entries = self.processed_entries + #batch.entries
    core.log.debug("Batch Processor[", self.name, "] successfully processed the entries")
end

local wait_for_more

local function on_timer(premature, self)
    local time = now()
    if premature or exiting() or time - self.last_entry_t >= self.inactive_timeout
        or time - self.first_entry_t >= self.buffer_duration then
        core.log.debug("Batch Processor[", self.name, "] buffer duration exceeded, activating buffer flush")
        self:process_buffer()
        self.is_timer_running = false
        return
    end
    core.log.debug("Batch Processor[", self.name, "] extending buffer timer")
    wait_for_more(self)
end

function wait_for_more(self)
    local ok, err = start_timer(self.inactive_timeout, on_timer, self)
    if not ok then
        self.is_timer_running = false
        return error_log("failed to create buffer timer: ", err)
    end
    self.is_timer_running = true
end

-- func(entries, batch_max_size): returns true; or false, an error and, when some have been taken, the index of
-- the first that was not. config: as the schema says, and route_id and server_addr, labels of the gauge
-- batch_process_entries. Returns the processor, or nil and what is wrong.
function _M:new(func, config)
    local ok, err = core.schema.check(self.schema, config)
    if not ok then
        return nil, err
    elseif type(func) ~= "function" then
        return nil, "Invalid argument, arg #1 must be a function"
    end
    return setmetatable({
        func = func,
        buffer_duration = config.buffer_duration,
        inactive_timeout = config.inactive_timeout,
        max_retry_count = config.max_retry_count,
        batch_max_size = config.batch_max_size,
        retry_delay = config.retry_delay,
        name = config.name,
        route_id = config.route_id,
        server_addr = config.server_addr,
        labels = config.route_id and config.server_addr
            and { config.name, config.route_id, config.server_addr } or nil,
        batch_to_process = {},
        entry_buffer = new_batch(),
        is_timer_running = false,
        first_entry_t = 0,
        last_entry_t = 0,
        processed_entries = 0,
    }, mt)
end

-- Add one entry; the function gets it later, in a timer.
function _M:push(entry)
    if self.batch_max_size == 1 then
        return schedule(self, 0, { entries = { entry }, retry_count = 0 })
    end
    local entries = self.entry_buffer.entries
    local count = #entries + 1
    entries[count] = entry
    report(self, count)
    self.last_entry_t = now()
    if count == 1 then
        self.first_entry_t = self.last_entry_t
    end
    if count >= self.batch_max_size then
        core.log.debug("Batch Processor[", self.name, "] batch max size has exceeded")
        self:process_buffer()
    end
    if not self.is_timer_running then
        wait_for_more(self)
    end
end

-- Have what was collected processed now.
function _M:process_buffer()
    local pending = self.batch_to_process
    if #self.entry_buffer.entries > 0 then
        pending[#pending + 1] = self.entry_buffer
        self.entry_buffer = new_batch()
        report(self, 0)
    end
    self.batch_to_process = {}
    for _, batch in ipairs(pending) do
        schedule(self, 0, batch)
    end
end

return _M
