-- Owns a plugin's batch processors, one for each configuration, and the limit of what may wait in all of them.
-- Mirrors apisix.utils.batch-processor-manager.
local batch_processor = require "apisix.utils.batch-processor"
local core = require "apisix.core"
local plugin = require "apisix.plugin"

local conf_version = plugin.conf_version
local now = ngx.now
local pairs = pairs
local plugin_metadata = plugin.plugin_metadata
local setmetatable = setmetatable
local timer_at = ngx.timer.at

local MAX_PENDING = 8192
local DISCARD_LOG_INTERVAL = 1 -- seconds: a flood of requests must not become one of log lines

local stale_interval = 1800

local _M = {}
local mt = { __index = _M }

-- name: of the processors, in log lines and metrics. plugin_name: whose metadata says max_pending_entries;
-- default name.
function _M.new(name, plugin_name)
    return setmetatable({
        stale_timer_running = false,
        buffers = {},
        total_pushed_entries = 0,
        total_stale_processed_entries = 0,
        processed_entries_snapshot = 0,
        discarded_entries = 0,
        last_discard_log_time = 0,
        name = name,
        plugin_name = plugin_name or name,
    }, mt)
end

-- Add the settings of batches to a plugin's schema, except those that it has itself. Returns the schema.
function _M:wrap_schema(schema)
    local properties = schema.properties
    for name, property in pairs(core.table.deepcopy(batch_processor.schema.properties)) do
        properties[name] = properties[name] or property
    end
    properties.name.default = self.name
    return schema
end

-- Add max_pending_entries to the schema of a plugin's metadata. Returns the schema.
function _M:wrap_metadata_schema(schema) -- luacheck: ignore self
    schema.properties.max_pending_entries = {
        type = "integer", minimum = 1, default = MAX_PENDING,
        description = "how many entries may wait in a worker; further ones are discarded",
    }
    return schema
end

local function remove_stale(premature, self)
    if premature then
        return
    end
    for key, processor in pairs(self.buffers) do
        if #processor.entry_buffer.entries == 0 and #processor.batch_to_process == 0 then
            core.log.info("removing batch processor stale object, conf: ", key)
            self.total_stale_processed_entries = self.total_stale_processed_entries + processor.processed_entries
            self.buffers[key] = nil
        end
    end
    self.stale_timer_running = false
end

-- Processors of configurations that are gone go after a while.
local function check_stale(self)
    if not self.stale_timer_running then
        timer_at(stale_interval, remove_stale, self)
        self.stale_timer_running = true
    end
end

-- Seconds between two looks for processors that are not used any more.
function _M.set_check_stale_interval(seconds)
    stale_interval = seconds
end

local function processed(self)
    local total = self.total_stale_processed_entries
    for _, processor in pairs(self.buffers) do
        total = total + processor.processed_entries
    end
    return total
end

local function max_pending(self)
    local metadata = plugin_metadata(self.plugin_name)
    return metadata and metadata.value and metadata.value.max_pending_entries or MAX_PENDING
end

-- What was processed only grows: as long as the last count leaves room there is room, and nothing is counted.
local function is_full(self, limit)
    if self.total_pushed_entries - self.processed_entries_snapshot < limit then
        return false
    end
    self.processed_entries_snapshot = processed(self)
    return self.total_pushed_entries - self.processed_entries_snapshot >= limit
end

local function note_discarded(self, limit)
    self.discarded_entries = self.discarded_entries + 1
    local time = now()
    if time - self.last_discard_log_time < DISCARD_LOG_INTERVAL then
        return
    end
    core.log.error("max pending entries limit exceeded. discarding entry.",
        " total_pushed_entries: ", self.total_pushed_entries,
        " total_processed_entries: ", self.processed_entries_snapshot,
        " max_pending_entries: ", limit,
        " discarded_entries: ", self.discarded_entries)
    self.last_discard_log_time = time
    self.discarded_entries = 0
end

local function push(self, processor, entry)
    processor:push(entry)
    self.total_pushed_entries = self.total_pushed_entries + 1
end

-- Give the entry to the processor of this configuration. Returns true when that is done, or when it is discarded
-- because too many wait; false when there is no processor yet.
function _M:add_entry(conf, entry)
    local limit = max_pending(self)
    if is_full(self, limit) then
        note_discarded(self, limit)
        return true
    end
    check_stale(self)
    local processor = self.buffers[conf_version(conf)]
    if not processor then
        return false
    end
    push(self, processor, entry)
    return true
end

-- Make a processor for this configuration and give it the entry; func: see apisix.utils.batch-processor. Returns
-- true; nil when too many entries wait; false when the processor cannot be made, which is logged.
function _M:add_entry_to_new_processor(conf, entry, ctx, func)
    if is_full(self, max_pending(self)) then
        return nil
    end
    check_stale(self)
    local processor, err = batch_processor:new(func, {
        name = conf.name,
        batch_max_size = conf.batch_max_size,
        max_retry_count = conf.max_retry_count,
        retry_delay = conf.retry_delay,
        buffer_duration = conf.buffer_duration,
        inactive_timeout = conf.inactive_timeout,
        route_id = ctx.var.route_id,
        server_addr = ctx.var.server_addr,
    })
    if not processor then
        core.log.error("error when creating the batch processor: ", err)
        return false
    end
    self.buffers[conf_version(conf)] = processor
    push(self, processor, entry)
    return true
end

return _M
