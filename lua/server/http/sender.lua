-- Owns the sending of what is gathered in r.out. Several light threads may write to one response: bytes
-- go out in the order in which they came into r.out, by one task at a time, and the others wait for it.
local current = require "server.current"
local task = require "server.task"

local ipairs, setmetatable = ipairs, setmetatable
local remove = table.remove

local _M = {}

-- What a flushing task waits in: when it is killed there, another one has to go on.
local Turn = {}
Turn.__index = Turn

local function wake_all(turn)
    local queue = turn.queue
    turn.queue, turn.holder = {}, nil
    for _, waiting in ipairs(queue) do
        task.wake(waiting)
    end
end

function Turn:cancel_wait(killed)
    if self.holder == killed then
        self.stream:cancel_wait(killed)
        return wake_all(self)
    end
    for i, waiting in ipairs(self.queue) do
        if waiting == killed then
            return remove(self.queue, i)
        end
    end
end

local function fail(r, err)
    r.aborted, r.keepalive = true, false
    r.out:reset()
    return nil, err
end

-- Send r.out until nothing is left in it, other tasks' bytes included.
local function drain(r, turn)
    local out, stream = r.out, r.stream
    while true do
        local pointer, size = out:ref()
        if size == 0 then
            return true
        end
        local n, err = stream:send_some(pointer, size)
        if n then
            out:skip(n)
            r.bytes_sent = r.bytes_sent + n
        elseif err ~= "again" then
            return fail(r, err)
        else
            local ok
            ok, err = stream:wait_writable(r.settings.send_timeout, turn)
            if not ok then
                return fail(r, err)
            end
        end
    end
end

local function flush_in_turn(r)
    local turn = r.stream.turn
    if not turn then
        turn = setmetatable({ stream = r.stream, holder = nil, queue = {} }, Turn)
        r.stream.turn = turn
    end
    while turn.holder do
        turn.queue[#turn.queue + 1] = current.task
        task.wait(turn)
    end
    if r.aborted then
        return nil, "client aborted"
    end
    turn.holder = current.task
    local ok, err = drain(r, turn)
    wake_all(turn)
    return ok, err
end

-- Send as much of what is gathered as goes without waiting.
function _M.send_now(r)
    local out, turn = r.out, r.conn.turn
    local pointer, size = out:ref()
    if size == 0 or turn and turn.holder then
        return
    end
    local n = r.stream:send_some(pointer, size)
    if n then
        out:skip(n)
        r.bytes_sent = r.bytes_sent + n
    end
end

-- Send what is gathered. Returns true, or nil and why not; then the client is gone.
function _M.flush(r)
    local out = r.out
    local pointer, size = out:ref()
    if size == 0 then
        return true
    end
    if r.aborted then
        out:reset()
        return nil, "client aborted"
    end
    local turn = r.stream.turn
    if not turn or not turn.holder then
        local n, err = r.stream:send_some(pointer, size)
        if n == size then
            out:reset()
            r.bytes_sent = r.bytes_sent + size
            return true
        elseif n then
            out:skip(n)
            r.bytes_sent = r.bytes_sent + n
        elseif err ~= "again" then
            return fail(r, err)
        end
    end
    return flush_in_turn(r)
end

-- Send size bytes at pointer, with nothing gathered before them and no light thread that could write
-- meanwhile (a proxied response has none). Returns as flush does.
function _M.send(r, pointer, size)
    local ok, err = r.stream:send(pointer, size, r.settings.send_timeout)
    r.bytes_sent = r.bytes_sent + size
    if not ok then
        return fail(r, err)
    end
    return true
end

return _M
