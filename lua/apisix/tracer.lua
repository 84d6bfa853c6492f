-- Owns the spans of a request, in ngx.ctx.tracing, for plugins that make some and for those that export them:
-- recorded where config.yaml says apisix.tracing. Must never send anything. Mirrors apisix.tracer.
local core = require "apisix.core"
local span = require "apisix.utils.span"

local ipairs = ipairs
local noop_span = require("apisix.utils.noop_span").new()

local _M = {
    kind = { unspecified = 0, internal = 1, server = 2, client = 3, producer = 4, consumer = 5 },
    status = { UNSET = 0, OK = 1, ERROR = 2 },
}

local enabled = core.table.try_read_attr(core.config.local_conf(), "apisix", "tracing") == true

-- Begin a span below the current one. ctx: ngx.ctx; kind: of _M.kind. Returns a span (apisix.utils.span), which does
-- nothing where nothing is recorded.
function _M.start(ctx, name, kind)
    if not enabled then
        return noop_span
    end
    if not ctx.tracing then
        ctx.tracing = { spans = {} }
        span.new(ctx, "root") -- above all others, never exported
    end
    if ctx.tracing.skip then
        return noop_span
    end
    return span.new(ctx, name, kind)
end

-- End the current span with this status, and all above it.
function _M.finish_all(ctx, code, message)
    local tracing = ctx.tracing
    local current = tracing and tracing.current_span
    if not current then
        return
    end
    current:set_status(code, message)
    current:finish(ctx)
    while current.parent_id do
        current = tracing.spans[current.parent_id]
        current:finish(ctx)
    end
end

-- Forget the spans of a request that is over.
function _M.release(ctx)
    for _, each in ipairs(ctx.tracing and ctx.tracing.spans or {}) do
        each:release()
    end
    ctx.tracing = nil
end

return _M
