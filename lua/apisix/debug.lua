-- Owns debug.yaml, the file beside config.yaml that turns debugging on and off while the gateway runs: `basic` the
-- response header Apisix-Plugins, `hook_conf` the logging of calls of named functions, `http_filter` that for requests
-- with a header alone. Mirrors apisix.debug. A gateway without hooks pays nothing.
local bridge = require "server.bridge"
local core = require "apisix.core"
local trace = require "apisix.plugin.trace"

local error = error
local exiting = ngx.worker.exiting
local ipairs = ipairs
local ngx = ngx
local pairs = pairs
local pcall = pcall
local require = require
local select = select
local timer_at = ngx.timer.at
local type = type

local WAIT = 60 -- seconds of one wait for a change
local LEVELS = { "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg" }

local function switches(properties)
    properties.enable = { type = "boolean" }
    return { type = "object", properties = properties }
end

local SCHEMA = {
    type = "object",
    properties = {
        basic = switches({}),
        http_filter = switches({ enable_header_name = { type = "string" } }),
        hook_conf = switches({
            name = { type = "string" },
            log_level = { enum = LEVELS },
            is_print_input_args = { type = "boolean" },
            is_print_return_value = { type = "boolean" },
        }),
    },
}

local conf = {}
local always = false -- config.yaml says apisix.enable_debug
local hooked = {} -- array of {module, name, original}

local _M = { version = 0.1 }

-- Is the header Apisix-Plugins on?
function _M.enable_debug()
    return trace.enabled
end

-- Shall calls be logged in this request? With http_filter only where it has the header. Kept in the ctx.
function _M.dynamic_debug(api_ctx)
    local filter = conf.http_filter
    if filter and filter.enable and filter.enable_header_name and api_ctx.enable_dynamic_debug == nil then
        api_ctx.enable_dynamic_debug = ngx.req.get_headers()[filter.enable_header_name] ~= nil
    end
end

local telling = false -- what logging calls itself is not told

local function applies()
    if telling then
        return false
    end
    local filter = conf.http_filter
    if not (filter and filter.enable) then
        return true
    end
    local ok, api_ctx = pcall(function() return ngx.ctx.api_ctx end) -- there is none before a request
    if not ok or not api_ctx or not api_ctx.var then -- nor after it
        return false
    end
    _M.dynamic_debug(api_ctx)
    return api_ctx.enable_dynamic_debug == true
end

local function tell(write, title, ...)
    telling = true
    write(title, core.json.encode({ n = select("#", ...), ... }, true))
    telling = false
end

local function hooking(module_name, name, original, hook)
    local write = core.log[hook.log_level or "warn"]
    local title = "call require(\"" .. module_name .. "\")." .. name .. "()"
    local function returned(...)
        if hook.is_print_return_value ~= false and applies() then
            tell(write, title .. " return:", ...)
        end
        return ...
    end
    return function(...)
        if hook.is_print_input_args ~= false and applies() then
            tell(write, title .. " args:", ...)
        end
        return returned(original(...))
    end
end

local function unhook()
    for _, entry in ipairs(hooked) do
        entry.module[entry.name] = entry.original
    end
    hooked = {}
end

local function hook_function(module, module_name, name, hook)
    local original = module[name]
    if type(original) ~= "function" then
        core.log.error("debug.yaml: failed to find function [", name, "] in module: ", module_name)
        return
    end
    hooked[#hooked + 1] = { module = module, name = name, original = original }
    module[name] = hooking(module_name, name, original, hook)
end

local function hook_all(list, hook)
    for module_name, names in pairs(list) do
        local ok, module = pcall(require, module_name)
        if ok and type(module) == "table" then
            for _, name in ipairs(names) do
                hook_function(module, module_name, name, hook)
            end
        else
            core.log.error("debug.yaml: failed to load module [", module_name, "]: ", module)
        end
    end
end

local function apply(new)
    conf = new
    trace.enabled = always or (new.basic ~= nil and new.basic.enable == true)
    unhook()
    local hook = new.hook_conf
    if hook and hook.enable then
        local list = new[hook.name or "hook_phase"]
        if type(list) == "table" then
            hook_all(list, hook)
        else
            core.log.error("debug.yaml: hook_conf.name: there is no list [", hook.name or "hook_phase", "]")
        end
    end
end

local version

-- Returns true, or nil and what is wrong; then what was in force stays.
local function read()
    local text
    text, version = bridge.call.debug_config()
    local new, err = core.json.decode(text)
    if not new then
        return nil, err
    end
    local ok
    ok, err = core.schema.check(SCHEMA, new)
    if not ok then
        return nil, err
    end
    apply(new)
    return true
end

local function read_or_tell()
    local ok, err = read()
    if not ok then
        core.log.error("failed to validate debug.yaml: ", err)
    end
end

local function follow(premature)
    if premature then
        return
    end
    local changed, err = bridge.await.debug_wait(version, WAIT)
    if err then
        error("debug.yaml is not followed any more: " .. err)
    elseif changed then
        read_or_tell()
    end
    if not exiting() then
        timer_at(0, follow)
    end
end

-- Read the file and follow it. Once per worker.
function _M.init_worker()
    always = core.table.try_read_attr(core.config.local_conf(), "apisix", "enable_debug") == true
    read_or_tell()
    timer_at(0, follow)
end

return _M
