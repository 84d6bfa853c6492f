-- Owns the report of an error that no user code caught: one entry of the error log, in ngx_lua's words.
local current = require "server.current"
local log = require "server.log"

local tostring, type = tostring, type
local gsub = string.gsub
local traceback = debug.traceback

local _M = {}

-- The stacks of a dead task and of those that spawned it, as ngx_lua prints them.
local function stacks(task)
    local text, number = "stack traceback:", 0
    while task do
        text = text .. "\ncoroutine " .. number .. ":" .. gsub(traceback(task.co), "^stack traceback:", "")
        task, number = task.parent, number + 1
    end
    return text
end

-- Log that task died of err. what: "lua entry thread aborted: runtime error: " or the like.
function _M.report(task, what, err)
    local kind = type(err)
    local text = (kind == "string" or kind == "number") and tostring(err) or "unknown reason"
    local outer = current.request
    current.request = task.request or outer
    log.err(what, text, "\n", stacks(task))
    current.request = outer
end

return _M
