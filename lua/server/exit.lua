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
    if not r.conn then -- a timer: its run ends here
        return r.task.on_done(r.task, true)
    end
    local code = r.exit_code
    return require("server.http.connection").restart(r.conn, require("server.http.handler").exit, code)
end

-- End the present phase (code < 200) or the request (ngx.exit). Does not return.
return function(code)
    current.request.exit_code = code
    return task.leave(leave)
end
