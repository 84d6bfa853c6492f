-- Owns breakpoints that look and do not stop: a function is called with the local variables and upvalues each time a
-- line of Lua is about to run. While there is one, new code is not compiled, so that lines are seen; what was compiled
-- before stays so, but for the function that the breakpoint names. Mirrors apisix.inspect.dbg.
local core = require "apisix.core"

local debug = debug
local byte = string.byte
local format = string.format
local insert = table.insert
local ipairs = ipairs
local jit = jit
local pcall = pcall
local sub = string.sub

local INTERNAL = byte("(") -- as in "(for index)"

local hooks = {} -- array of {key = "file#line", filter_func}

local _M = {}

-- How to call a frame, by debug.getinfo(level, "nSl"): the name of a C function, else "file:line (name)".
function _M.getname(info)
    if info.what == "C" then
        return info.name
    end
    local place = format("%s:%d", info.short_src, info.currentline)
    if info.what ~= "main" and info.namewhat ~= "" then
        return format("%s (%s)", place, info.name)
    end
    return place
end

-- All that next_pair(i) gives, i = 1, 2, …, by name.
local function collect(next_pair)
    local found, i = {}, 1
    while true do
        local name, value = next_pair(i)
        if not name then
            return found
        elseif byte(name) ~= INTERNAL then
            found[name] = value
        end
        i = i + 1
    end
end

local function set(now)
    hooks = now
    if #hooks == 0 then
        debug.sethook()
        jit.on()
    end
end

-- Is the breakpoint done? level: of the code that is looked at, as seen from here.
local function is_done(hook, level, finfo)
    local info = {
        finfo = finfo,
        uv = collect(function(i) return debug.getupvalue(finfo.func, i) end),
        vals = collect(function(i)
            local name, value = debug.getlocal(level + 2, i) -- no tail call: levels are counted from here
            return name, value
        end),
    }
    local ok, done = pcall(hook.filter_func, info)
    if not ok then
        core.log.error("inspect: pcall filter_func:", done)
    end
    return not ok or done ~= false
end

local function on_line(_, line)
    local finfo = debug.getinfo(2, "nSlf")
    local key = finfo.source .. "#" .. line
    local stay = {}
    for _, hook in ipairs(hooks) do
        if sub(key, -#hook.key) ~= hook.key or not is_done(hook, 3, finfo) then
            insert(stay, hook)
        else
            core.log.warn("inspect: remove hook: ", hook.key)
        end
    end
    if #stay ~= #hooks then
        set(stay)
        if #hooks == 0 then
            core.log.warn("inspect: all hooks removed")
        end
    end
end

local function key_of(file, line)
    return (file or "=stdin") .. "#" .. line
end

-- Call filter_func({finfo = debug.getinfo(…, "nSlf"), uv, vals}) each time before that line runs, until it returns
-- something else than false. file: how the name of the source ends; func: the function that the line is in, nil:
-- whatever was compiled is thrown away.
function _M.set_hook(file, line, func, filter_func)
    insert(hooks, { key = key_of(file, line), filter_func = filter_func })
    if func then
        jit.flush(func)
    else
        jit.flush()
    end
    jit.off()
    debug.sethook(on_line, "l")
end

-- Take away the breakpoints of that line.
function _M.unset_hook(file, line)
    local key, stay = key_of(file, line), {}
    for _, hook in ipairs(hooks) do
        if hook.key ~= key then
            insert(stay, hook)
        end
    end
    if #stay ~= #hooks then
        set(stay)
    end
end

-- Take them all away.
function _M.unset_all()
    if #hooks > 0 then
        set({})
    end
end

-- The breakpoints: an array of {key = "file#line", filter_func}.
function _M.hooks()
    return hooks
end

return _M
