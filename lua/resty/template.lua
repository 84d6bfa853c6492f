-- Owns the module `resty.template`: views compiled to Lua functions, kept, and run with a context.
-- Source: the documentation of lua-resty-template 2.0. Must never take a value into a page unescaped but by {* *}.
-- A template's code runs in an environment of its own for each rendering.
local parser = require "resty.template.parser"
local views = require "resty.template.views"

local assert, load, pairs, pcall, unpack = assert, load, pairs, pcall, unpack
local setfenv, setmetatable, tostring, type = setfenv, setmetatable, tostring, type
local byte, dump, gsub = string.byte, string.dump, string.gsub
local io_open = io.open
local _G = _G
local null = ngx.null

local BYTECODE = 27 -- its first byte

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;", ["/"] = "&#47;" }
local CODE = setmetatable({ ["{"] = "&#123;", ["}"] = "&#125;" }, { __index = HTML })

-- The names that a view may use: the context's, the template's, the globals.
local environment = { __index = function(env, name)
    local value = env.context[name]
    if value == nil then
        value = env.template[name]
    end
    if value == nil then
        value = _G[name]
    end
    return value
end }

-- Turn code into function(context) -> text.
local function loaded(template, code)
    local chunk = assert(load(code, "=template"))
    local function run(context)
        context = context or {}
        local env = setmetatable({ context = context, template = template }, environment)
        return setfenv(chunk, env)()(context)
    end
    return run, chunk
end

-- An object {render(self, context), process(self, context)} of a view, in a layout (a view or such an object) or none.
local function view_object(template, view, layout)
    local function process(self, context)
        context = context or self
        if not layout then
            return template.process(view, context)
        end
        context.blocks = context.blocks or {}
        context.view = template.process(view, context)
        if type(layout) ~= "table" then
            return template.process(layout, context)
        end
        layout.blocks, layout.view = context.blocks, context.view
        return tostring(layout)
    end
    local function render(self, context)
        template.print(process(self, context))
    end
    return setmetatable({ render = render, process = process }, { __tostring = process })
end

local function returning(ok, ...)
    if not ok then
        return nil, (...)
    end
    return ...
end

-- The same function, which returns nil and an error text instead of raising.
local function protected(run)
    return function(...)
        return returning(pcall(run, ...))
    end
end

local function safe_object(object)
    return setmetatable({ render = protected(object.render), process = protected(object.process) }, {
        __tostring = function(self)
            local ok, text = pcall(object.process, self)
            return ok and text or ""
        end,
    })
end

-- Add the functions that turn views into functions.
local function add_compiling(template, state)
    function template.parse(view, plain)
        assert(view, "view was not provided for template.parse(view, plain)")
        if plain ~= true then
            view = template.load(view, plain)
            if byte(view) == BYTECODE then
                return view
            end
        end
        return parser.parse(view, state.visitors)
    end

    -- Returns function(context) -> text, and whether it was there already. cache_key: default the view itself,
    -- "no-cache": neither look for it nor keep it. plain: see resty.template.views.
    function template.compile(view, cache_key, plain)
        assert(view, "view was not provided for template.compile(view, cache_key, plain)")
        if cache_key == "no-cache" then
            return (loaded(template, template.parse(view, plain))), false
        end
        cache_key = cache_key or view
        local kept = template.cache[cache_key]
        if kept then
            return kept, true
        end
        local run = loaded(template, template.parse(view, plain))
        if state.caching then
            template.cache[cache_key] = run
        end
        return run, false
    end

    -- The bytecode of a view, which goes where a view goes; written to path too, if given. strip: without names (true).
    function template.precompile(view, path, strip, plain)
        local _, chunk = loaded(template, template.parse(view, plain))
        local bytecode = dump(chunk, strip ~= false)
        if path then
            local file = assert(io_open(path, "wb"))
            file:write(bytecode)
            file:close()
        end
        return bytecode
    end

    function template.process(view, context, cache_key, plain)
        assert(view, "view was not provided for template.process(view, context, cache_key, plain)")
        return template.compile(view, cache_key, plain)(context)
    end

    function template.render(view, context, cache_key, plain)
        assert(view, "view was not provided for template.render(view, context, cache_key, plain)")
        template.print(template.process(view, context, cache_key, plain))
    end
end

-- The same for what is a file, or a text, for sure: NAME_file and NAME_string. n: where `plain` stands.
local function add_variants(template, name, n)
    for suffix, plain in pairs({ _file = false, _string = true }) do
        template[name .. suffix] = function(...)
            local args = { ... }
            args[n] = plain
            return template[name](unpack(args, 1, n))
        end
    end
end

local function add_output(template)
    -- The text of a value: none for nil and null, a function's result.
    function template.output(value)
        if value == nil or value == null then
            return ""
        elseif type(value) == "function" then
            return template.output(value())
        end
        return tostring(value)
    end

    -- The same with HTML's special characters escaped; code: braces too.
    function template.escape(value, code)
        if type(value) ~= "string" then
            return template.output(value)
        end
        return (gsub(value, code and "[}{\">/<'&]" or "[\">/<'&]", code and CODE or HTML))
    end
end

local function enabled(value)
    return value == nil or value == "1" or value == "true" or value == "on"
end

local new

-- template.new(): another template. new(true): one that returns errors. new(table): one in this table.
-- new(view, layout): an object of a view.
local function add_new(template, safe)
    function template.new(view, layout)
        local kind = type(view)
        if kind == "boolean" then
            return new(nil, view)
        elseif kind == "table" then
            return new(view, safe)
        elseif kind == "nil" then
            return new(nil, safe)
        end
        local object = view_object(template, view, layout)
        return safe and safe_object(object) or object
    end
end

function new(template, safe)
    template = template or {}
    local state = { caching = enabled(views.variable("template_cache")) }
    template._VERSION = "2.0"
    template.cache = {}
    template.print = ngx.print
    function template.load(view, plain)
        return views.load(template, view, plain)
    end
    -- Whether compiled views are kept; with an argument: from now on.
    function template.caching(enable)
        if enable ~= nil then
            state.caching = enable == true
        end
        return state.caching
    end
    -- Let func(content, tag, name) change what stands between and within the tags of views that are parsed from now on.
    function template.visit(func)
        state.visitors = state.visitors or {}
        state.visitors[#state.visitors + 1] = func
    end
    add_output(template)
    add_compiling(template, state)
    for name, n in pairs({ load = 2, parse = 2, compile = 3, precompile = 4, process = 4, render = 4 }) do
        add_variants(template, name, n)
    end
    add_new(template, safe)
    if not safe then
        return template
    end
    return setmetatable({}, { __newindex = template, __index = function(_, name)
        local value = template[name]
        return type(value) == "function" and protected(value) or value
    end })
end

return new()
