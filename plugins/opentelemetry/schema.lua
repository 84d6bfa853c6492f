-- Owns the schemas of the plugin opentelemetry: its configuration and its metadata.
local SCALAR = { oneOf = { { type = "boolean" }, { type = "number" }, { type = "string" } } }
local NAMES = { type = "array", items = { type = "string", minLength = 1 } }
local OFF = "always_off"

local function fraction()
    return { type = "number", default = 0, description = "trace_id_ratio fraction" }
end

local root = {
    type = "object",
    description = "the sampler of parent_base for requests without a parent",
    properties = {
        name = { type = "string", enum = { "always_on", OFF, "trace_id_ratio" }, default = OFF },
        options = { type = "object", properties = { fraction = fraction() }, default = { fraction = 0 } },
    },
    default = { name = OFF, options = { fraction = 0 } },
}

local sampler = {
    type = "object",
    properties = {
        name = { type = "string", enum = { "always_on", OFF, "trace_id_ratio", "parent_base" }, default = OFF },
        options = {
            type = "object",
            properties = { fraction = fraction(), root = root },
            default = { fraction = 0, root = { name = OFF } },
        },
    },
    default = { name = OFF, options = { fraction = 0, root = { name = OFF } } },
}

local collector = {
    type = "object",
    properties = {
        address = { type = "string", default = "127.0.0.1:4318", description = "host:port" },
        request_timeout = { type = "integer", default = 3, description = "seconds" },
        request_headers = { type = "object", additionalProperties = SCALAR },
    },
    default = { address = "127.0.0.1:4318", request_timeout = 3 },
}

local batches = {
    type = "object",
    properties = {
        drop_on_queue_full = { type = "boolean", description = "else a full queue is sent at once" },
        max_queue_size = { type = "integer", description = "spans" },
        batch_timeout = { type = "number", description = "seconds that a span waits at most" },
        inactive_timeout = { type = "number", description = "seconds between two looks at what waits" },
        max_export_batch_size = { type = "integer", description = "spans" },
    },
    default = {},
}

return {
    conf = {
        type = "object",
        properties = {
            sampler = sampler,
            additional_attributes = NAMES,
            additional_header_prefix_attributes = NAMES,
        },
    },
    metadata = {
        type = "object",
        properties = {
            trace_id_source = { type = "string", enum = { "x-request-id", "random" }, default = "random" },
            resource = { type = "object", additionalProperties = SCALAR },
            collector = collector,
            batch_span_processor = batches,
            set_ngx_var = { type = "boolean", default = false },
        },
    },
}
