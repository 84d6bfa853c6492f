-- Owns what happens when an error ended a request's task that no application code caught: the log line, and
-- the end of what fails again and again.
local errors = require "server.errors"

local _M = {}

-- In one request: in a phase, in the filters of the answer to that, in the log phase.
local MAX = 4

local PLAIN = { balancer = true, header_filter = true, body_filter = true, log = true }

-- Report that err ended task, of request r. Returns whether r may go on with its answer to that.
function _M.note(r, task, err)
    if PLAIN[r.phase] then
        errors.report_plain(task, "failed to run " .. r.phase .. "_by_lua*: ", err)
    else
        errors.report(task, "lua entry thread aborted: runtime error: ", err)
    end
    r.failures = r.failures + 1
    return r.failures <= MAX and r.stage ~= ""
end

return _M
