-- Owns the list of plugin functions that a request ran, shown in the response header Apisix-Plugins when
-- config.yaml says `apisix.enable_debug: true`. Costs one field read when off.
local core = require "apisix.core"

local concat = table.concat
local ngx = ngx

local AFTER_HEADER = { "body_filter", "delayed_body_filter", "log" }

local _M = { enabled = false }

-- Read whether it is on.
function _M.init_worker()
    _M.enabled = core.table.try_read_attr(core.config.local_conf(), "apisix", "enable_debug") == true
end

local function add(list, item)
    for i = 1, #list do
        if list[i] == item then
            return
        end
    end
    list[#list + 1] = item
end

-- Note that the plugin runs. Once the header is sent it can only be logged.
function _M.record(ctx, name, phase)
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
