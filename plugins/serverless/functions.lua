-- Owns plugins that run functions given as source text. Must never know which of them runs first: their priority
-- decides that. Mirrors the serverless plugins of APISIX 3.18.
local core = require "apisix.core"

local ipairs = ipairs
local loadstring = loadstring
local pcall = pcall
local tostring = tostring
local type = type

local PHASES = { "rewrite", "access", "header_filter", "body_filter", "log", "before_proxy" }

-- Another table each: the host writes its own properties into it.
local function new_schema()
    return {
        type = "object",
        properties = {
            phase = { type = "string", enum = PHASES, default = "access" },
            functions = { type = "array", minItems = 1, items = { type = "string" } },
        },
        required = { "functions" },
    }
end

-- Returns the function that the source text returns, or nil, err.
local function load_function(source)
    local chunk, err = loadstring(source)
    if not chunk then
        return nil, "failed to loadstring: " .. err
    end
    local ok, result = pcall(chunk)
    if not ok then
        return nil, "pcall error: " .. tostring(result)
    end
    if type(result) ~= "function" then
        return nil, "only accept Lua function, the input code type is " .. type(result)
    end
    return result
end

-- Checked before, but a chunk may do something else the next time.
local function load_functions(sources)
    local functions = {}
    for i, source in ipairs(sources) do
        local fn, err = load_function(source)
        if not fn then
            return nil, err
        end
        functions[i] = fn
    end
    return functions
end

-- name, priority: of the plugin to make.
return function(name, priority)
    local schema = new_schema()
    local _M = { version = 0.1, priority = priority, name = name, schema = schema }

    -- The functions keep their upvalues for as long as the configuration stays the same.
    local loaded = core.lrucache.new({ type = "plugin", count = 1024 })

    function _M.check_schema(conf)
        local ok, err = core.schema.check(schema, conf)
        if not ok then
            return false, err
        end
        for _, source in ipairs(conf.functions) do
            local fn
            fn, err = load_function(source)
            if not fn then
                return false, err
            end
        end
        return true
    end

    local function run(conf, ctx)
        local functions, err = core.lrucache.plugin_ctx(loaded, ctx, conf.phase, load_functions, conf.functions)
        if not functions then
            core.log.error(name, ": ", err)
            return 500
        end
        for _, fn in ipairs(functions) do
            local code, body = fn(conf, ctx)
            if code or body then
                return code, body
            end
        end
    end

    for _, phase in ipairs(PHASES) do
        _M[phase] = function(conf, ctx)
            if phase == conf.phase then
                return run(conf, ctx)
            end
        end
    end

    return _M
end
