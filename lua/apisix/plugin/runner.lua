-- Owns the running of plugins, phase by phase: the order is the plan's, the short cut is a returned code.
-- A Lua error in a plugin is logged with the plugin, the phase and the stack. It ends the request: with 500
-- as long as nothing has been sent, else by cutting the response short, as what was not filtered must
-- not go out. In the log phase the other plugins still get their turn.
-- This is the hot path: no table is made here, and a phase nobody takes part in costs two look-ups.
local core = require "apisix.core"
local meta_fields = require "apisix.plugin.meta"
local running = require "server.running"
local trace = require "apisix.plugin.trace"

local error = error
local mark = running.mark
local ngx = ngx
local setmetatable = setmetatable
local tostring = tostring
local traceback = debug.traceback
local type = type
local xpcall = xpcall
local passes = meta_fields.passes
local run_pre_function = meta_fields.run_pre_function

-- In these a returned code makes the response and ends the request.
local ANSWERS = { rewrite = true, rewrite_in_consumer = true, access = true, before_proxy = true, preread = true }
local FUNCTION_OF = { rewrite_in_consumer = "rewrite" }

local _M = {}

local function with_stack(err)
    return traceback(tostring(err), 2)
end

local function place(ctx)
    local route = ctx.route_id and "route " .. ctx.route_id or "no route"
    return ctx.conf_type == "global_rule" and "global rule, " .. route or route
end

local function describe(ctx, name, phase, err)
    return "plugin [" .. name .. "] failed in phase " .. phase .. " (" .. place(ctx) .. "): " .. tostring(err)
end

-- The request may be skipped by _meta.filter, or because a workflow has run the plugin already.
local function is_wanted(ctx, name, conf)
    local meta = conf._meta
    local filter = meta and meta.filter
    if filter and not passes(ctx, name, filter) then
        return false
    end
    local skipped = ctx._skip_plugins
    return not (skipped and skipped[name])
end

-- phase -> plugin -> the number by which the watchdog knows both
local numbers = setmetatable({}, { __index = function(by_phase, phase)
    local of_phase = setmetatable({}, { __mode = "k", __index = function(by_plugin, plugin)
        local number = running.name("plugin [" .. plugin.name .. "], phase " .. phase)
        by_plugin[plugin] = number
        return number
    end })
    by_phase[phase] = of_phase
    return of_phase
end })

local function call(plugin, conf, ctx, phase, ...)
    local name = plugin.name
    local outer = mark[0]
    mark[0] = numbers[phase][plugin]
    local meta = conf._meta
    local source = meta and meta.pre_function
    if source then
        run_pre_function(source, conf, ctx, name)
    end
    ctx._plugin_name = name
    local tracing = trace.enabled
    if tracing then
        trace.begin(ctx, plugin, phase)
    end
    local ok, code, body = xpcall(plugin[phase], with_stack, conf, ctx, ...)
    mark[0] = outer
    ctx._plugin_name = nil
    if tracing then
        trace.finish(ctx, phase, ok, code)
    end
    return ok, code, body
end

local function answer(plugin, conf, ctx, phase, code, body)
    if not code then
        core.log.error(describe(ctx, plugin.name, phase, "it returned a body without a status code"))
        return core.response.exit(500)
    end
    if code >= 400 then
        core.log.warn(plugin.name, " exits with http status code ", code)
        local meta = conf._meta
        if meta and meta.error_response then
            body = meta.error_response
        end
    end
    return core.response.exit(code, body)
end

local function run_answering(list, phase, ctx)
    local run = false
    for i = 1, #list, 2 do
        local plugin, conf = list[i], list[i + 1]
        if is_wanted(ctx, plugin.name, conf) then
            run = true
            local ok, code, body = call(plugin, conf, ctx, phase)
            if not ok then
                core.log.error(describe(ctx, plugin.name, phase, code))
                return core.response.exit(500)
            end
            if code or body then
                return answer(plugin, conf, ctx, phase, code, body)
            end
        end
    end
    return ctx, run
end

local function fail(ctx, name, phase, err)
    local message = describe(ctx, name, phase, err)
    if phase ~= "log" then
        error(message, 0) -- the server logs it and ends the request
    end
    core.log.error(message)
end

local told = setmetatable({}, { __mode = "k" }) -- plugin -> set of phases

-- It may have meant to answer; said once, as it does so in every request.
local function tell_of_code(plugin, phase, ctx, code)
    local phases = told[plugin] or {}
    told[plugin] = phases
    if type(code) == "number" and not phases[phase] then
        phases[phase] = true
        core.log.error(describe(ctx, plugin.name, phase, "it returned " .. code
            .. ", which has no effect: a request is answered in rewrite, access or before_proxy"))
    end
end

local function run_watching(list, phase, ctx)
    local run = false
    for i = 1, #list, 2 do
        local plugin, conf = list[i], list[i + 1]
        if is_wanted(ctx, plugin.name, conf) then
            run = true
            local ok, err = call(plugin, conf, ctx, phase)
            if not ok then
                fail(ctx, plugin.name, phase, err)
            elseif err then
                tell_of_code(plugin, phase, ctx, err)
            end
        end
    end
    return ctx, run
end

-- An array that is no plan: somebody made it by hand.
local function having(plugins, fn_name)
    local list = {}
    for i = 1, #plugins, 2 do
        if plugins[i][fn_name] then
            core.table.insert_tail(list, plugins[i], plugins[i + 1])
        end
    end
    return list
end

-- Run a phase of plugins: a plan or a flat array {plugin, conf, …}; default ctx.plugins. In rewrite, access
-- and before_proxy a plugin that returns (code, body) answers the request: then this does not return.
-- Returns the context and whether any plugin was run; nil without a context.
function _M.run_plugin(phase, plugins, api_ctx)
    api_ctx = api_ctx or ngx.ctx.api_ctx
    if not api_ctx then
        return nil
    end
    plugins = plugins or api_ctx.plugins
    if not plugins then
        return api_ctx
    end
    local fn_name = FUNCTION_OF[phase] or phase
    local by_phase = plugins.by_phase
    local list
    if by_phase then
        list = by_phase[phase]
    else
        list = having(plugins, fn_name)
    end
    if not list then
        return api_ctx, false
    end
    if ANSWERS[phase] then
        return run_answering(list, fn_name, api_ctx)
    end
    return run_watching(list, fn_name, api_ctx)
end

-- Leave the plugin out for the rest of the request: a workflow has run it as its action.
function _M.skip_plugin(ctx, plugin_name)
    local skipped = ctx._skip_plugins
    if not skipped then
        skipped = {}
        ctx._skip_plugins = skipped
    end
    skipped[plugin_name] = true
end

-- One plugin's lua_body_filter. Returns the body to go on with; ends the request when a code is returned.
local function filter_body(plugin, conf, ctx, headers, body)
    local ok, code, new_body = call(plugin, conf, ctx, "lua_body_filter", headers, body)
    if not ok then
        fail(ctx, plugin.name, "lua_body_filter", code)
    end
    if code then
        if code ~= ngx.OK then
            ngx.status = code
        end
        ngx.print(new_body)
        ngx.exit(ngx.OK)
    end
    return new_body or body
end

-- Send body, a piece of a response made by Lua, through the plugins' lua_body_filter(conf, ctx, headers,
-- body) to the client. wait: return only when it is sent. Returns true, or false and an error.
function _M.lua_response_filter(api_ctx, headers, body, no_flush, wait)
    local plugins = api_ctx.plugins
    local list = plugins and (plugins.by_phase and plugins.by_phase.lua_body_filter
        or not plugins.by_phase and having(plugins, "lua_body_filter"))
    for i = 1, list and #list or 0, 2 do
        if is_wanted(api_ctx, list[i].name, list[i + 1]) then
            body = filter_body(list[i], list[i + 1], api_ctx, headers, body)
        end
    end
    local ok, err = ngx.print(body)
    if not ok then
        return false, err
    end
    if not no_flush then
        ok, err = ngx.flush(wait == true)
        if not ok then
            return false, err
        end
    end
    return true
end

return _M
