-- Owns the context of a trace as it travels in headers (W3C Trace Context, level 1), and the making of ids. Part of
-- the plugin opentelemetry.
local core = require "apisix.core"

local concat = table.concat
local find, format, gmatch, lower, match = string.find, string.format, string.gmatch, string.lower, string.match
local ngx = ngx
local random = math.random
local tonumber = tonumber
local type = type

local NO_TRACE, NO_SPAN = ("0"):rep(32), ("0"):rep(16)
local MAX_MEMBERS, MAX_LENGTH = 32, 256
local MAX_FLAGS = 2

local _M = {}

local function digits(count)
    local parts = {}
    for i = 1, count / 8 do
        parts[i] = format("%04x%04x", random(0, 0xFFFF), random(0, 0xFFFF))
    end
    return concat(parts)
end

function _M.new_span_id()
    return digits(16)
end

local function is_trace_id(id)
    return #id == 32 and find(id, "^[0-9a-f]+$") ~= nil and id ~= NO_TRACE
end

-- source: "random", or "x-request-id": the request's id where that can be one.
function _M.new_trace_id(source, ctx)
    if source == "x-request-id" then
        local id = core.request.headers(ctx)["x-request-id"] or ngx.var.request_id
        id = type(id) == "string" and lower(id)
        if id and is_trace_id(id) then
            return id
        end
    end
    return digits(32)
end

-- Of "00-TRACE-SPAN-FLAGS": the three, or nil. What a later version adds behind them does not matter.
local function parse_parent(text)
    if type(text) ~= "string" then
        return nil
    end
    local version, trace_id, span_id, flags, rest = match(text, "^%s*(%x%x)%-(%x+)%-(%x+)%-(%x%x)(.-)%s*$")
    if not version or version == "ff" or version == "00" and rest ~= "" then
        return nil
    end
    flags = tonumber(flags, 16)
    local is_span = #span_id == 16 and find(span_id, "^[0-9a-f]+$") and span_id ~= NO_SPAN
    if not is_span or not is_trace_id(trace_id) or flags > MAX_FLAGS then
        return nil
    end
    return trace_id, span_id, flags
end

local KEY = [[^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$]]
local VALUE = [[^[\x20-\x2b\x2d-\x3c\x3e-\x7e]*[\x21-\x2b\x2d-\x3c\x3e-\x7e]$]]

local function is_member(key, value)
    return #value <= MAX_LENGTH and ngx.re.find(key, KEY, "jo") and ngx.re.find(value, VALUE, "jo")
end

-- The state of other tracers, tidied up: "a=1,b=2"; "" when there is none or any of it is wrong.
local function parse_state(text)
    local members = {}
    text = type(text) == "table" and concat(text, ",") or text or ""
    for member in gmatch(text, "[^,]+") do
        local key, value = match(member, "^%s*([^=]+)=(.-)%s*$")
        if not key or not is_member(key, value) or #members == MAX_MEMBERS then
            core.log.warn("failed to parse tracestate")
            return ""
        end
        members[#members + 1] = key .. "=" .. value
    end
    return concat(members, ",")
end

-- What the client says of its trace: {trace_id, span_id, flags, state}, or nil.
function _M.extract(ctx)
    local headers = core.request.headers(ctx)
    local trace_id, span_id, flags = parse_parent(headers["traceparent"])
    if not trace_id then
        return nil
    end
    return { trace_id = trace_id, span_id = span_id, flags = flags, state = parse_state(headers["tracestate"]) }
end

-- "00-TRACE-SPAN-FLAGS" of a span.
function _M.parent(span)
    return format("00-%s-%s-%02x", span.trace_id, span.span_id, span.flags)
end

-- Tell the upstream of the span.
function _M.inject(ctx, span)
    core.request.set_header(ctx, "traceparent", _M.parent(span))
    if span.state and span.state ~= "" then
        core.request.set_header(ctx, "tracestate", span.state)
    end
end

return _M
