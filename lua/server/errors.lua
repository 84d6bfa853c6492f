-- Owns the report of an error that no user code caught: one entry of the error log, in ngx_lua's words.
local current = require "server.current"
local log = require "server.log"

local tostring, type = tostring, type
local gsub = string.gsub
local traceback = debug.traceback
local concat = table.concat

local _M = {}

local function add_stack(lines, co)
    lines[#lines + 1] = "coroutine " .. #lines .. ":" .. gsub(traceback(co), "^stack traceback:", "")
end

-- The coroutines that err went through before it came to the task, the first one first.
local function add_died(lines, died, err)
    if died and died.err == err then
        add_died(lines, died.inner, err)
        add_stack(lines, died.co)
    end
end

-- The stacks of a task dead of err and of those that spawned it, as ngx_lua prints them.
local function stacks(task, err)
    local lines = {}
    add_died(lines, task.died, err)
    while task and task.co do
        add_stack(lines, task.co)
        task = task.parent
    end
    return "stack traceback:\n" .. concat(lines, "\n")
end

-- Log that task died of err. what: "lua entry thread aborted: runtime error: " or the like.
function _M.report(task, what, err)
    local kind = type(err)
    local text = (kind == "string" or kind == "number") and tostring(err) or "unknown reason"
    local outer = current.request
    current.request = task.request or outer
    log.err(what, text, "\n", stacks(task, err))
    current.request = outer
end

return _M
