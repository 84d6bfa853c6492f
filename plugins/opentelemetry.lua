-- Owns the tracing of requests: a span for each, sent to a collector as OTLP over HTTP. Configuration, attributes and
-- messages are those of APISIX 3.18's plugin of this name; ids, encoding and sending are in opentelemetry/.
local add_children = require "apisix.plugins.opentelemetry.children"
local attributes = require "apisix.plugins.opentelemetry.attributes"
local clock = require "server.clock"
local context = require "apisix.plugins.opentelemetry.context"
local core = require "apisix.core"
local new_sampler = require "apisix.plugins.opentelemetry.samplers"
local plugin = require "apisix.plugin"
local processors = require "apisix.plugins.opentelemetry.processor"
local schema = require "apisix.plugins.opentelemetry.schema"

local ngx = ngx
local setmetatable = setmetatable

local NAME = "opentelemetry"
local ERROR_STATUS = 500

local _M = {
    version = 0.1,
    priority = 12009,
    name = NAME,
    schema = schema.conf,
    metadata_schema = schema.metadata,
}

function _M.check_schema(conf, schema_type)
    if schema_type ~= core.schema.TYPE_METADATA then
        return core.schema.check(schema.conf, conf)
    end
    local ok, err = core.schema.check(schema.metadata, conf)
    if not ok then
        return ok, err
    end
    core.utils.check_https({ "collector.address" }, conf, NAME)
    return true
end

local samplers = setmetatable({}, { __mode = "k" }) -- by the configuration's sampler

local function sampler_of(conf)
    local found = samplers[conf.sampler]
    if not found then
        found = new_sampler(conf.sampler)
        samplers[conf.sampler] = found
    end
    return found
end

local processor, processor_of, processor_fault

-- The processor of this metadata; one of former metadata still sends what it has.
local function find_processor(metadata)
    if processor_of ~= metadata then
        processor, processor_fault = processors.new(metadata)
        processor_of = metadata
    end
    return processor, processor_fault
end

local function show(span)
    local var = ngx.var
    var.opentelemetry_context_traceparent = context.parent(span)
    var.opentelemetry_trace_id = span.trace_id
    var.opentelemetry_span_id = span.span_id
end

local function start(conf, ctx, metadata)
    local parent = context.extract(ctx)
    local trace_id = parent and parent.trace_id or context.new_trace_id(metadata.trace_id_source, ctx)
    local is_sampled = sampler_of(conf)(parent, trace_id)
    local span = {
        trace_id = trace_id,
        span_id = context.new_span_id(),
        parent_id = parent and parent.span_id,
        state = parent and parent.state,
        flags = is_sampled and (parent and parent.flags - parent.flags % 2 or 0) + 1 or 0,
        is_sampled = is_sampled,
    }
    if is_sampled then
        span.attributes, span.name = attributes.begin(ctx)
        span.start_time, span.began = ngx.now(), clock.monotonic()
    end
    return span
end

function _M.rewrite(conf, ctx)
    local item = plugin.plugin_metadata(NAME)
    if not item then
        core.log.warn("plugin_metadata is required for opentelemetry plugin to working properly")
        return
    end
    local metadata = item.value
    local found, err = find_processor(metadata)
    if not found then
        core.log.error("failed to fetch tracer object: ", err)
        return
    end
    local span = start(conf, ctx, metadata)
    span.processor = found
    if metadata.set_ngx_var then
        show(span)
    end
    ctx.opentelemetry_span = span
    local tracing = not span.is_sampled and ctx.ngx_ctx and ctx.ngx_ctx.tracing
    if tracing then
        tracing.skip = true
    end
    context.inject(ctx, span)
end

function _M.log(conf, ctx)
    local span = ctx.opentelemetry_span
    if not span or not span.is_sampled then
        return
    end
    local status, source = ngx.status, core.response.get_response_source(ctx)
    attributes.complete(span.attributes, conf, ctx, source)
    span.integers = { "http.status_code", status, "http.response.status_code", status }
    if status >= ERROR_STATUS then
        span.error = source .. " error: " .. status
    end
    ngx.update_time()
    span.end_time = span.start_time + clock.monotonic() - span.began
    local tracing = ctx.ngx_ctx and ctx.ngx_ctx.tracing
    if tracing then
        add_children(span.processor, tracing, span)
    end
    span.processor:add(span)
end

return _M
