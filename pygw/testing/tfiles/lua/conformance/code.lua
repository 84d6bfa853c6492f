-- Owns Lua code from *_by_lua directives: chunks named as ngx_lua names them, compiled when first run, and
-- what follows when they do not compile.
local log = require "server.log"
local values = require "conformance.values"

local find, format, gsub, sub = string.find, string.format, string.gsub, string.sub
local loadfile, loadstring, io_open = loadfile, loadstring, io.open

local _M = { prefix = "" }

-- The request ends as ngx_lua ends it when code does not load.
local function refuse(message, status)
    log.err(message)
    local phase = ngx.get_phase()
    if phase == "header_filter" or phase == "body_filter" then
        return ngx.exit(ngx.ERROR)
    elseif phase == "log" then
        return nil
    end
    return ngx.exit(status)
end

local function inline(directive, tag, source)
    local name = format("=%s(nginx.conf:%d)", tag, directive.line)
    local chunk
    return function(...)
        if not chunk then
            local fn, err = loadstring(source, name)
            if not fn then
                return refuse("failed to load inlined Lua code: " .. err, 500)
            end
            chunk = fn
        end
        return chunk(...)
    end
end

local function absolute(path)
    return sub(path, 1, 1) == "/" and path or _M.prefix .. path
end

local function from_file(directive)
    local path_of = values.template(directive.args[#directive.args])
    local constant = not find(directive.args[#directive.args], "$", 1, true)
    local chunks = {}
    return function(...)
        local path = absolute(constant and directive.args[#directive.args] or path_of())
        local chunk = chunks[path]
        if not chunk then
            local fn, err = loadfile(path)
            if not fn then
                local file = io_open(path)
                local status = file and 500 or 404
                if file then
                    file:close()
                end
                return refuse(format('failed to load external Lua file "%s": %s', path, err), status)
            end
            chunk = fn
            chunks[path] = fn
        end
        return chunk(...)
    end
end

-- The handler of a directive such as content_by_lua, content_by_lua_block, content_by_lua_file; which of its
-- arguments is the code: 1, or 2 for set_by_lua. Returns the function and the directive's plain name.
function _M.handler(directive, index)
    local tag = gsub(gsub(directive.name, "_block$", ""), "_file$", "")
    local source = directive.code or directive.args[index or 1]
    if directive.name == tag .. "_file" then
        local moved = { args = { directive.args[index or 1] }, line = directive.line }
        return from_file(moved), tag
    end
    if not source or source == "" then
        error("invalid location config: no runnable Lua code", 0)
    end
    return inline(directive, tag, source), tag
end

-- Compile a chunk that nginx compiles at start (init_by_lua, …): raises when it does not.
function _M.eager(directive)
    local tag = gsub(gsub(directive.name, "_block$", ""), "_file$", "")
    local chunk, err
    if directive.name == tag .. "_file" then
        chunk, err = loadfile(absolute(directive.args[1]))
    else
        chunk, err = loadstring(directive.code or directive.args[1],
            format("=%s(nginx.conf:%d)", tag, directive.line))
    end
    return chunk or function() return error(err, 0) end, tag
end

return _M
