-- Owns the Lua side of `pygw check` (pygw/check/examiner.py): an application that loads the one plugin it is told to
-- and answers what Python asks about it. Must never serve a request nor watch the store.
local apisix = require "apisix"
local bridge = require "server.bridge"
local core = require "apisix.core"
local loading = require "apisix.check.loading"
local surface = require "apisix.check.surface"
local task = require "server.task"

local ngx = ngx
local tostring = tostring
local traceback = debug.traceback

-- Answer a question, JSON both ways, in a task as a worker's init_worker runs in one. The answer is nil if
-- the task is still waiting when the call returns: nothing here could wake it.
local function answering(fn)
    return function(text)
        local answer
        task.resume(task.new(function()
            answer = core.json.encode(fn(core.json.decode(text)))
        end, nil, function(self, ok, err)
            if not ok then
                answer = core.json.encode({ raised = traceback(self.co, tostring(err)) })
            end
        end))
        return answer
    end
end

local function init()
    core.config.init = nil -- it would read the store, and there is none here
    core.id.init = function() end -- it would write the gateway's id beside the configuration
    return apisix.http_init()
end

local function init_worker()
    apisix.http_init_worker()
    bridge.entries.check_load = answering(loading.load)
    bridge.entries.check_find = answering(surface.find)
end

local function content()
    return ngx.exit(404)
end

return { init = init, init_worker = init_worker, content = content }
