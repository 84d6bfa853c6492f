-- Owns the debug mode of requests, on when apisix.debug says so: the response header
-- Apisix-Plugins, and the whole trace (trace/record.lua) of a request that asks for one. Costs one field read when off.
local core = require "apisix.core"
local record = require "apisix.plugin.trace.record"
local send = require "apisix.plugin.trace.send"

local concat = table.concat
local ngx = ngx

local AFTER_HEADER = { "body_filter", "delayed_body_filter", "log" }

local _M = { enabled = false } -- enabled: apisix.debug's to set

local function add(list, item)
    for i = 1, #list do
        if list[i] == item then
            return
        end
    end
    list[#list + 1] = item
end

-- Once the header is sent it can only be logged.
local function note(ctx, name, phase)
    local list = ctx.debug_plugins
    if not list then
        list = {}
        ctx.debug_plugins = list
    end
    add(list, name .. "#" .. phase)
    if ngx.headers_sent then
        core.log.warn("Apisix-Plugins: ", name, "#", phase)
    end
end

-- A request begins.
function _M.start(ctx)
    record.start(ctx)
end

-- A plugin's phase begins.
function _M.begin(ctx, plugin, phase)
    note(ctx, plugin.name, phase)
    if ctx.trace then
        record.begin(ctx, plugin, phase)
    end
end

-- It has returned code and body; not ok: code is the error.
function _M.finish(ctx, phase, ok, code)
    if ctx.trace then
        record.finish(ctx, phase, ok, code)
    end
end

-- The request is over.
function _M.stop(ctx)
    if ctx.trace then
        send(record.report(ctx))
    end
end

-- The header's value: what has run, then what is going to when the body and the log come.
function _M.header(ctx)
    local list = ctx.debug_plugins or {}
    ctx.debug_plugins = list
    local by_phase = ctx.plugins and ctx.plugins.by_phase or {}
    for i = 1, #AFTER_HEADER do
        local phase = AFTER_HEADER[i]
        local plugins = by_phase[phase] or {}
        for j = 1, #plugins, 2 do
            add(list, plugins[j].name .. "#" .. phase)
        end
    end
    return #list > 0 and concat(list, ", ") or "no plugin"
end

return _M
