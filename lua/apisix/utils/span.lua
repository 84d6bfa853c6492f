-- Owns one span of a traced request, in the form that exporters read: {id, name, kind, start_time, end_time,
-- parent_id, child_ids, attributes, status = {code, message}}; times in nanoseconds. Must never send anything.
-- Mirrors apisix.utils.span.
local ngx = ngx
local insert = table.insert
local select = select
local setmetatable = setmetatable

local UNSET, ERROR = 0, 2 -- status codes of OpenTelemetry

local _M = {}
local mt = { __index = _M }

local function nanoseconds()
    ngx.update_time()
    return ngx.now() * 1e9
end

-- Begin a span below the current one of ctx.tracing ({spans, current_span, root_span}), and make it current.
function _M.new(ctx, name, kind)
    local tracing = ctx.tracing
    local self = setmetatable({ start_time = nanoseconds(), name = name, kind = kind }, mt)
    insert(tracing.spans, self)
    self.id = #tracing.spans
    local parent = tracing.current_span
    if parent then
        self.parent_id = parent.id
        parent.child_ids = parent.child_ids or {}
        insert(parent.child_ids, self.id)
    else
        tracing.root_span = self
    end
    tracing.current_span = self
    return self
end

-- code: 0 unset, 1 ok, 2 error, anything else is 0; message: what went wrong, of an error alone.
function _M:set_status(code, message)
    code = code and code >= UNSET and code <= ERROR and code or UNSET
    self.status = self.status or { message = "" }
    self.status.code = code
    if code == ERROR then
        self.status.message = message
    end
end

-- Each argument is an attribute, as the exporter has them.
function _M:set_attributes(...)
    self.attributes = self.attributes or {}
    for i = 1, select("#", ...) do
        insert(self.attributes, (select(i, ...)))
    end
end

-- End it; the span above it is the current one again.
function _M:finish(ctx)
    local tracing = ctx.tracing
    self.end_time = nanoseconds()
    if self.parent_id then
        tracing.current_span = tracing.spans[self.parent_id]
    end
end

-- The request is over; nothing is shared between requests here.
function _M.release() end

return _M
