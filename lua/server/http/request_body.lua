-- Owns the reading of the client's request body: the 100 (Continue) that it may wait for, its size
-- limit, its timeout, and getting rid of what nobody read.
local ffi = require "ffi"
local clock = require "server.clock"
local settings = require "server.settings"

local monotonic = clock.monotonic

local CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
local LINGER_MAX = 1048576 -- bytes of an unread body that are read for the sake of keep-alive

local _M = {}

local function before_first_byte(r)
    if r.expect_continue then
        r.expect_continue = false
        if not r.header_sent then
            r.stream:send(ffi.cast("const uint8_t *", CONTINUE), #CONTINUE, settings.send_timeout)
        end
    end
end

-- The next piece of the body, as Body:next() gives it; "too large" when it passes client_max_body_size.
function _M.next(r)
    before_first_byte(r)
    local body = r.body
    local p, n = body:next(settings.client_body_timeout)
    if p and settings.client_max_body_size > 0 and body.received + n > settings.client_max_body_size then
        return nil, "too large"
    end
    return p, n
end

-- Read the whole body into r.body_data ("" when there is none), once. Returns true, or nil and why not.
function _M.read(r)
    if r.body_data or r.body_read then
        return true
    end
    r.body_read = true
    local body = r.body
    if not body then
        return true
    end
    before_first_byte(r)
    local limit = settings.client_max_body_size
    local data, err = body:read_all(limit > 0 and limit or math.huge, settings.client_body_timeout)
    if not data then
        return nil, err
    end
    r.body_data = data
    return true
end

-- Read and forget what is left, so that the next request can be read. Returns true when all is gone.
function _M.discard(r)
    local body = r.body
    if not body or body.done then
        return true
    end
    if r.expect_continue then -- the client waits for our word and will send nothing
        return false
    end
    local deadline = monotonic() + settings.lingering_time
    repeat
        local p, n = body:next(settings.lingering_timeout)
        if not p then
            return n == nil
        end
        body:advance(n)
    until body.received > LINGER_MAX or monotonic() > deadline
    return false
end

return _M
