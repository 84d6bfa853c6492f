-- Owns the spans that are over and wait: their batches, and when these are sent. Part of the plugin opentelemetry.
local core = require "apisix.core"
local collectors = require "apisix.plugins.opentelemetry.collector"
local protobuf = require "apisix.plugins.opentelemetry.protobuf"

local ipairs = ipairs
local now = ngx.now
local pairs = pairs
local setmetatable = setmetatable
local timer_at = ngx.timer.at
local type = type

local SCOPE = "opentelemetry-lua"
local SDK = {
    "telemetry.sdk.language", "lua", "telemetry.sdk.name", "opentelemetry-lua", "telemetry.sdk.version", "0.1.1",
}

local _M = {}
local mt = { __index = _M }

-- given: the metadata's resource, or nil.
local function resource_of(given)
    local out = core.table.deepcopy(SDK)
    core.table.insert_tail(out, "hostname", core.utils.gethostname())
    if given and not given["service.name"] then
        core.table.insert_tail(out, "service.name", "APISIX")
    end
    for key, value in pairs(given or {}) do
        if type(value) ~= "table" then
            core.table.insert_tail(out, key, value)
        end
    end
    return protobuf.resource(out)
end

-- metadata: of the plugin, checked. Returns the processor, or nil and what is wrong.
function _M.new(metadata)
    local options = metadata.batch_span_processor or {}
    local self = setmetatable({
        collector = collectors.new(metadata.collector),
        resource = resource_of(metadata.resource),
        drop_on_queue_full = options.drop_on_queue_full ~= false,
        max_queue_size = options.max_queue_size or 2048,
        batch_timeout = options.batch_timeout or 5,
        inactive_timeout = options.inactive_timeout or 2,
        max_export_batch_size = options.max_export_batch_size or 256,
        queue = {}, first = 0, full = {}, is_timer_running = false,
    }, mt)
    if self.batch_timeout <= 0 or self.inactive_timeout <= 0 or self.max_export_batch_size <= 0 then
        return nil, "batch_span_processor: timeouts and sizes must be greater than 0"
    elseif self.max_queue_size <= self.max_export_batch_size then
        return nil, "batch_span_processor: max_queue_size must be greater than max_export_batch_size"
    end
    return self
end

local function send_all(self, batches)
    for _, spans in ipairs(batches) do
        self.collector:send(protobuf.encode(self.resource, SCOPE, spans))
    end
end

local function close_queue(self)
    self.full[#self.full + 1] = self.queue
    self.queue = {}
end

local function take_full(self)
    local batches = self.full
    self.full = {}
    return batches
end

local wait

local function on_timer(premature, self)
    if #self.queue > 0 and (premature or now() - self.first >= self.batch_timeout) then
        close_queue(self)
    end
    send_all(self, take_full(self))
    self.is_timer_running = false
    if not premature and #self.full > 0 then
        return wait(self, 0)
    elseif not premature and #self.queue > 0 then
        return wait(self, self.inactive_timeout)
    end
end

function wait(self, delay)
    local ok, err = timer_at(delay, on_timer, self)
    if not ok and err == "process exiting" then
        ok, err = timer_at(0, on_timer, self)
    end
    if not ok then
        core.log.error("failed to create timer: ", err)
        return
    end
    self.is_timer_running = true
end

-- Returns false when there is no room for one more span.
local function make_room(self, span)
    if #self.queue + #self.full * self.max_export_batch_size < self.max_queue_size then
        return true
    end
    if self.drop_on_queue_full then
        core.log.warn("queue is full, drop span: trace_id = ", span.trace_id, " span_id = ", span.span_id)
        return false
    end
    timer_at(0, function(_, batches)
        return send_all(self, batches)
    end, take_full(self))
    return true
end

-- Take a span that is over; see apisix.plugins.opentelemetry.protobuf.
function _M:add(span)
    if not make_room(self, span) then
        return
    end
    local queue = self.queue
    queue[#queue + 1] = span
    if #queue == 1 then
        self.first = now()
    end
    if #queue >= self.max_export_batch_size then
        close_queue(self)
    end
    if not self.is_timer_running then
        wait(self, self.inactive_timeout)
    end
end

return _M
