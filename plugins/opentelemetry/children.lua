-- Owns the spans that others made below a request's (apisix.tracer), in the form in which ours are sent. Part of the
-- plugin opentelemetry.
local context = require "apisix.plugins.opentelemetry.context"

local ipairs = ipairs
local pairs = pairs

local ERROR = 2 -- status of apisix.tracer
local INTERNAL = 1 -- of enum SpanKind

-- {key, value = {string_value = …}} -> flat; whole numbers apart.
local function attributes_of(given)
    local attributes, integers = {}, {}
    for _, each in ipairs(given or {}) do
        for kind, value in pairs(each.value) do
            local out = kind == "int_value" and integers or attributes
            out[#out + 1], out[#out + 2] = each.key, value
        end
    end
    return attributes, integers
end

local function convert(given, parent)
    local attributes, integers = attributes_of(given.attributes)
    local is_error = given.status and given.status.code == ERROR
    return {
        trace_id = parent.trace_id, span_id = context.new_span_id(), parent_id = parent.span_id, state = parent.state,
        flags = parent.flags, name = given.name, kind = given.kind or INTERNAL,
        start_time = given.start_time / 1e9, end_time = (given.end_time or given.start_time) / 1e9,
        attributes = attributes, integers = integers, error = is_error and given.status.message or nil,
    }
end

local function add_below(processor, spans, ids, parent)
    for _, id in ipairs(ids or {}) do
        local child = convert(spans[id], parent)
        processor:add(child)
        add_below(processor, spans, spans[id].child_ids, child)
    end
end

-- Give the processor the spans of tracing (ngx.ctx.tracing) as those below `parent`, a span of ours.
return function(processor, tracing, parent)
    if tracing.root_span then
        add_below(processor, tracing.spans, tracing.root_span.child_ids, parent)
    end
end
