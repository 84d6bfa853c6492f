-- Owns the way out of a request: whatever coroutine asks for it, the request's task leaves it there and
-- goes on in a new one.
local current = require "server.current"
local task = require "server.task"

local function leave(running)
    local r = running.request
    if r.task ~= running then -- a light thread ends the request of its parent
        running.dead = true
        task.kill(r.task)
    end
    if not r.restart then -- a timer: its run ends here
        return r.task.on_done(r.task, true)
    end
    return r:restart(r.exit_action or require("server.http.handler").exit, r.exit_code)
end

-- End the present phase (code < 200) or the request (ngx.exit). action: what the request goes on with, a
-- function(r, code); nil: the handler's exit(). Does not return.
return function(code, action)
    local r = current.request
    r.exit_code, r.exit_action = code, action
    return task.leave(leave)
end
