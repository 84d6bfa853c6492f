-- Owns the report of an error that no user code caught: one entry of the error log, in ngx_lua's words.
local current = require "server.current"
local log = require "server.log"

local tostring, type = tostring, type
local concat = table.concat
local find, match = string.find, string.match
local getinfo = debug.getinfo
local running = coroutine.running

local LEVELS_MAX = 22 -- of a stack
local STACKS_MAX = 5
local OURS = match(getinfo(1, "S").source, "^(.*/)") -- where the functions come from that run an application's

local _M = {}

-- The level at which co's stack goes over, from `first` on, from an application's functions into ours that run them.
local function depth(co, first)
    local level, entered = first, false
    local info = getinfo(co, first, "S")
    while info and level <= first + LEVELS_MAX do -- what lies deeper is not shown, and may be very deep
        local own = find(info.source, OURS, 1, true) == 1
        if own and entered then
            return level
        end
        entered = entered or not own and info.what ~= "C"
        level = level + 1
        info = getinfo(co, level, "S")
    end
    return level
end

-- outermost: as nginx calls it, from C, it has no name.
local function describe(info, outermost)
    if info.namewhat ~= "" and not outermost then
        return " in function '" .. info.name .. "'"
    elseif info.what == "main" then
        return " in main chunk"
    elseif info.what == "C" then
        return " ?"
    end
    return " in function <" .. info.short_src .. ":" .. info.linedefined .. ">"
end

-- Add co's stack from level `first` on, before level `levels`.
local function add_stack(lines, co, first, levels)
    for level = first, levels - 1 do
        if level == first + LEVELS_MAX then
            lines[#lines + 1] = "\t..."
            return
        end
        local info = getinfo(co, level, "Snl")
        lines[#lines + 1] = "\t" .. info.short_src .. ":" .. (info.currentline > 0 and info.currentline .. ":" or "")
            .. describe(info, level == levels - 1)
    end
end

-- The coroutines that err went through before it came to the task, the first one first.
local function add_died(stacks, died, err)
    if died and died.err == err then
        add_died(stacks, died.inner, err)
        stacks[#stacks + 1] = died.co
    end
end

-- The stacks of a task dead of err and of those that spawned it, as ngx_lua prints them.
local function traceback(task, err)
    local stacks, lines = {}, { "stack traceback:" }
    add_died(stacks, task.died, err)
    while task and task.co do
        stacks[#stacks + 1] = task.co
        task = task.parent
    end
    for i = 1, #stacks < STACKS_MAX and #stacks or STACKS_MAX do
        lines[#lines + 1] = "coroutine " .. i - 1 .. ":"
        add_stack(lines, stacks[i], 0, depth(stacks[i], 0))
    end
    return concat(lines, "\n")
end

local OWN_LEVELS = 3 -- getinfo, who calls it, and here()

-- The stack of the running code, from the function on that is so many levels above the caller (0).
function _M.here(level)
    local lines, co, first = { "stack traceback:" }, running(), OWN_LEVELS + level
    add_stack(lines, co, first, depth(co, first))
    return concat(lines, "\n")
end

-- The stack of a task's coroutine alone.
local function one_stack(task)
    local lines = { "stack traceback:" }
    add_stack(lines, task.co, 0, depth(task.co, 0))
    return concat(lines, "\n")
end

-- The text of an error, nil where it has none.
local function text_of(err)
    local kind = type(err)
    return (kind == "string" or kind == "number") and tostring(err) or nil
end

local function write(task, ...)
    local outer = current.request
    current.request = task.request or outer
    log.err(...)
    current.request = outer
end

-- Log that task died of err. what: "lua entry thread aborted: runtime error: " or the like.
function _M.report(task, what, err)
    return write(task, what, text_of(err) or "unknown reason", "\n", traceback(task, err))
end

-- The same of a phase that nginx runs in no coroutine: a response's filters, the balancer, the log phase.
function _M.report_plain(task, what, err)
    local text = text_of(err)
    return write(task, what, text and text .. "\n" .. one_stack(task) or "unknown reason")
end

return _M
