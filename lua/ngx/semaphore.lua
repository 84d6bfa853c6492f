-- Owns the module ngx.semaphore. Source: lua-resty-core, ngx.semaphore.
local bridge = require "server.bridge"
local clock = require "server.clock"
local current = require "server.current"
local task = require "server.task"

local error, type, setmetatable = error, type, setmetatable

local _M = { version = "0.1.28" }

local Semaphore = {}
Semaphore.__index = Semaphore

-- A semaphore with n resources (0). Returns it.
function _M.new(n)
    n = n or 0
    if type(n) ~= "number" or n < 0 then
        error("no negative number", 2)
    end
    return setmetatable({ resources = n, first = 1, last = 0, waiting = 0 }, Semaphore)
end

local Waiter = {}
Waiter.__index = Waiter

-- Leave the queue: the slot stays, marked as gone.
function Waiter:cancel_wait()
    self.gone = true
    self.semaphore.waiting = self.semaphore.waiting - 1
    if self.timer then
        bridge.cancel(self.timer)
    end
end

function Waiter:on_timer()
    self.timer = nil
    self:cancel_wait()
    return task.resume(self.task, nil, "timeout")
end

-- Take a resource, waiting up to `seconds` for one. Returns true, or nil and "timeout".
function Semaphore:wait(seconds)
    if type(seconds) ~= "number" or seconds < 0 then
        error("timeout must be a non-negative number", 2)
    end
    if self.resources > 0 and self.waiting == 0 then
        self.resources = self.resources - 1
        return true
    end
    if seconds == 0 then
        return nil, "timeout"
    end
    local waiter = setmetatable({ task = current.task, semaphore = self }, Waiter)
    self.last = self.last + 1
    self[self.last] = waiter
    self.waiting = self.waiting + 1
    waiter.timer = bridge.call_at(clock.monotonic() + seconds, waiter)
    local ok, err = task.wait(waiter)
    return ok, err
end

local function next_waiter(self)
    while self.first <= self.last do
        local waiter = self[self.first]
        self[self.first] = nil
        self.first = self.first + 1
        if not waiter.gone then
            return waiter
        end
    end
    self.first, self.last = 1, 0
    return nil
end

-- Release n resources (1); waiting tasks go on, in order, once the running one yields. Returns true.
function Semaphore:post(n)
    n = n or 1
    if type(n) ~= "number" or n < 1 then
        error("no positive number", 2)
    end
    for _ = 1, n do
        local waiter = next_waiter(self)
        if waiter then
            self.waiting = self.waiting - 1
            bridge.cancel(waiter.timer)
            task.wake(waiter.task, true)
        else
            self.resources = self.resources + 1
        end
    end
    return true
end

-- Resources that are free, or minus the number of those who wait.
function Semaphore:count()
    return self.resources - self.waiting
end

return _M
