-- Owns the module ngx.semaphore. Source: lua-resty-core, ngx.semaphore.
-- Must never lose a resource: one that was posted is nobody's until a waiting task goes on with it.
local bridge = require "server.bridge"
local clock = require "server.clock"
local current = require "server.current"
local refusal_to_wait = require("server.restrictions").refusal_to_wait
local task = require "server.task"

local error, getmetatable, setmetatable, tonumber = error, getmetatable, setmetatable, tonumber

local _M = { version = "0.1.33" }

local Semaphore = {}
local metatable = { __index = Semaphore }

-- A semaphore with n resources (0). Returns it.
function _M.new(n)
    n = tonumber(n) or 0
    if n < 0 then
        error("no negative number", 2)
    end
    return setmetatable({ resources = n, first = 1, last = 0, waiting = 0, delivering = false }, metatable)
end

local function check(self)
    if getmetatable(self) ~= metatable then
        error("not a semaphore instance", 3)
    end
end

local Waiter = {}
Waiter.__index = Waiter

-- Leave the queue: the slot stays, marked as gone.
function Waiter:cancel_wait()
    self.gone = true
    self.semaphore.waiting = self.semaphore.waiting - 1
    if self.timer then
        bridge.cancel(self.timer)
        self.timer = nil
    end
end

function Waiter:on_timer()
    self.timer = nil
    self:cancel_wait()
    if self.task.waiting == self then
        return task.resume(self.task, false, "timeout")
    end
end

-- wait(seconds): take a resource, waiting so long for one (in whole milliseconds). Returns true, or nil (false
-- once it has waited) and "timeout" or why nothing can wait here.
function Semaphore:wait(seconds)
    check(self)
    local milliseconds = tonumber(seconds) * 1000
    milliseconds = milliseconds - milliseconds % 1
    if milliseconds < 0 then
        error("no negative number", 2)
    end
    local refusal = refusal_to_wait()
    if refusal then
        return nil, refusal
    end
    if self.resources > 0 and self.waiting == 0 then
        self.resources = self.resources - 1
        return true
    elseif milliseconds == 0 then
        return nil, "timeout"
    end
    local waiter = setmetatable({ task = current.task, semaphore = self }, Waiter)
    self.last = self.last + 1
    self[self.last] = waiter
    self.waiting = self.waiting + 1
    waiter.timer = bridge.call_at(clock.monotonic() + milliseconds / 1000, waiter)
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

-- Let those go on, in order, for whom there is a resource.
local function deliver(self)
    self.delivering = false
    while self.resources > 0 and self.waiting > 0 do
        local waiter = next_waiter(self)
        self.resources = self.resources - 1
        waiter:cancel_wait()
        task.resume(waiter.task, true)
    end
end

-- post(n): release n resources (1); waiting tasks go on once the running one yields. Returns true.
function Semaphore:post(n)
    check(self)
    n = n and tonumber(n) or 1
    if n < 1 then
        error("positive number required", 2)
    end
    self.resources = self.resources + n - n % 1
    if self.waiting > 0 and not self.delivering then
        self.delivering = true
        task.later(deliver, self)
    end
    return true
end

-- Resources that are free, or minus the number of those who wait.
function Semaphore:count()
    check(self)
    return self.resources - self.waiting
end

return _M
