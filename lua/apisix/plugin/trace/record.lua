-- Owns the whole trace of one request, kept in ctx.trace: which plugins ran, in what order and phase, for how long, and
-- what each changed. A request asks for it with the header X-Pygw-Trace, a number that `pygw trace` makes up.
local clock = require "server.clock"
local core = require "apisix.core"
local snapshot = require "apisix.plugin.trace.snapshot"

local floor = math.floor
local match = string.match
local ngx = ngx
local setmetatable = setmetatable
local tostring = tostring

local BODY_PHASES = { body_filter = true, delayed_body_filter = true }

local _M = {}

local function now_us()
    return clock.precise() * 1e6
end

-- Begin a trace if the request asks for one; the header goes no further.
function _M.start(ctx)
    local id = match(ngx.var.http_x_pygw_trace or "", "^%x+$")
    if not id or #id > 32 then
        return
    end
    ctx.trace = { id = id, started = now_us(), steps = {}, by_key = {} }
    core.request.set_header(ctx, "X-Pygw-Trace", nil)
end

-- One step for all pieces of a body.
local function step_of(trace, ctx, plugin, phase)
    local scope = ctx.conf_type or "global_rule" -- all global rules are one, without a name
    local key = scope .. "#" .. phase .. "#" .. plugin.name
    local step = trace.by_key[key]
    if not step then
        step = {
            plugin = plugin.name, priority = plugin.priority, phase = phase,
            scope = scope, scope_id = scope ~= "global_rule" and tostring(ctx.conf_id) or nil,
            us = 0, runs = 0, changes = setmetatable({}, core.json.array_mt),
        }
        trace.by_key[key] = step
        trace.steps[#trace.steps + 1] = step
    end
    return step
end

-- A plugin's phase begins.
function _M.begin(ctx, plugin, phase)
    local trace = ctx.trace
    trace.step = step_of(trace, ctx, plugin, phase)
    trace.before = snapshot.take(ctx, BODY_PHASES[phase])
    trace.began = now_us()
end

local function count_piece(step, before, after)
    step.bytes_in = (step.bytes_in or 0) + #(before.piece or "")
    step.bytes_out = (step.bytes_out or 0) + #(after.piece or "")
    step.changes_body = step.changes_body or before.piece ~= after.piece
end

-- It has returned. A plugin that ends the request by itself does not come here: its step has no run.
function _M.finish(ctx, phase, ok, code)
    local trace = ctx.trace
    local step, spent = trace.step, now_us() - trace.began
    step.us, step.runs = step.us + floor(spent + 0.5), step.runs + 1
    local after = snapshot.take(ctx, BODY_PHASES[phase])
    snapshot.compare(trace.before, after, step.changes)
    if BODY_PHASES[phase] then
        count_piece(step, trace.before, after)
    end
    if not ok then
        step.error = match(tostring(code), "^[^\n]*")
    elseif code then
        step.answered = code
    end
end

-- The trace of a request that is over, as a table for JSON, and its number.
function _M.report(ctx)
    local trace, var = ctx.trace, ctx.var
    local spent = now_us() - trace.started
    return trace.id, {
        method = ngx.req.get_method(), uri = var.real_request_uri, host = var.host, status = ngx.status,
        us = floor(spent + 0.5),
        route_id = ctx.route_id, route_name = ctx.route_name, service_id = ctx.service_id,
        consumer_name = ctx.consumer_name,
        upstream_addr = ngx.var.upstream_addr, upstream_status = ngx.var.upstream_status,
        upstream_response_time = ngx.var.upstream_response_time,
        steps = setmetatable(trace.steps, core.json.array_mt),
    }
end

return _M
