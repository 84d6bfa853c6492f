-- Owns the client's request body: reading it into memory or, what is large, into a file; replacing it;
-- and getting rid of what nobody read. A request's body is r.body while it arrives, then r.body_data
-- (a string) or r.body_file (see body_file); r.body_draft is one that the application is writing.
local ffi = require "ffi"
local clock = require "server.clock"
local files = require "server.http.body_file"
local global_settings = require "server.settings"
local stores = require "server.http.body_store"

local cast = ffi.cast
local monotonic = clock.monotonic
local huge, tostring = math.huge, tostring

local CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
local LINGER_MAX = 1048576 -- bytes of an unread body that are read for the sake of keep-alive

local _M = {}

-- The body is about to be read: tell the client that waits for that.
local function before_first_byte(r)
    if r.expect_continue then
        r.expect_continue = false
        if not r.header_sent then
            r.stream:send(cast("const uint8_t *", CONTINUE), #CONTINUE, global_settings.send_timeout)
        end
    end
end

_M.invite = before_first_byte

-- How long r's body may be, in bytes; 0: any length.
local function limit_of(r)
    local extras = r.extras
    return extras and extras.max_body or r.settings.client_max_body_size
end
_M.limit_of = limit_of

-- The next piece of the body, as Body:next() gives it; "too large" when it passes client_max_body_size.
function _M.next(r)
    before_first_byte(r)
    local body = r.body
    local p, n = body:next(r.settings.client_body_timeout)
    local limit = limit_of(r)
    if p and limit > 0 and body.received + n > limit then
        return nil, "too large"
    end
    return p, n
end

local function close_file(r)
    local file = r.body_file
    if file then
        r.body_file = nil
        if file.owner == r then -- a subrequest borrows its parent's
            file:close()
        end
    end
end

-- r's request is over, or its body was replaced: its files go.
function _M.release(r)
    close_file(r)
    local draft = r.body_draft
    if draft then
        r.body_draft = nil
        draft:drop()
    end
end

local function own_file(r, file)
    file.owner = r
    r.body_file = file
end

-- Make what a store holds the body. Returns true, or nil and why not.
local function take_store(r, store)
    local data, file, err = store:take()
    if err then
        return nil, err
    elseif file then
        own_file(r, file)
    end
    r.body_data = data
    return true
end

-- Read all of r.body into a store. Returns true, or nil and why not.
local function fill(r, store)
    while true do
        local p, n = _M.next(r)
        if not p then
            if n then
                return nil, n
            end
            return true
        end
        local ok, err = store:put(p, n)
        if not ok then
            return nil, err
        end
        r.body:advance(n)
    end
end

-- Read a body that is too large for memory, is to lie in a file, or says nothing of its size.
local function read_large(r, room)
    local store = stores.new(room)
    r.body_draft = store -- whatever ends the request meanwhile finds it there
    if r.body then
        local ok, err = fill(r, store)
        if not ok then
            _M.release(r)
            return nil, err
        end
    end
    r.body_draft = nil
    return take_store(r, store)
end

-- How many bytes of the body may lie in memory; as nginx, a quarter more when the size is known.
local function room_for(settings, length)
    if settings.client_body_in_file_only ~= "off" then
        return -1
    end
    local size = settings.client_body_buffer_size
    return length and size + size / 4 or size
end

-- Read the whole body into r.body_data or r.body_file, once; both stay nil without a body. Returns true, or
-- nil and why not: "too large", "timeout", "closed", "invalid chunk", an error text.
function _M.read(r)
    if r.body_read or r.body_discarded then
        return true
    end
    r.body_read = true
    local body, settings = r.body, r.settings
    if not body then
        return r.content_length ~= 0 or settings.client_body_in_file_only == "off" or read_large(r, -1)
    elseif body.done then -- it was discarded
        return true
    end
    local limit, length = limit_of(r), r.content_length
    if limit > 0 and length and length > limit then
        return nil, "too large"
    end
    before_first_byte(r)
    local room = room_for(settings, length)
    if not length or length > room then
        return read_large(r, room)
    end
    local data, err = body:read_all(huge, settings.client_body_timeout)
    if not data then
        return nil, err
    end
    r.body_data = data
    return true
end

-- The body as a string, wherever it lies; nil when there is none. Second: why it could not be read.
function _M.text(r)
    if r.body_file then
        return r.body_file:text()
    end
    return r.body_data
end

local function declare_length(r, size)
    r.headers_changed = true
    r.content_length = size
    r.headers:set("content-length", "Content-Length", tostring(size))
end

-- Make a string the body.
function _M.set_data(r, data)
    _M.release(r)
    r.body_data, r.body_read = data, true
    return declare_length(r, #data)
end

-- Make the file at `path` the body. clean: remove it afterwards. Returns true, or nil and why not.
function _M.set_file(r, path, clean)
    _M.release(r)
    local file, err = files.open(path, clean)
    if not file then
        return nil, err
    end
    r.body_read = true
    if file.size == 0 then
        file:close()
        r.body_data = ""
    else
        r.body_data = nil
        own_file(r, file)
    end
    declare_length(r, file.size)
    return true
end

-- Begin a new body, to be written by r.body_draft:append() (see body_store). room: bytes of it that may
-- lie in memory, nil: as the settings say.
function _M.init(r, room)
    local settings = r.settings
    if room == 0 or settings.client_body_in_file_only ~= "off" then
        room = -1
    end
    _M.release(r)
    r.body_data = nil
    r.body_draft = stores.new(room or settings.client_body_buffer_size)
    r.body_draft.by_application = true
end

-- The new body is written: it takes the place of the old one. Returns true, or nil and why not.
function _M.finish(r)
    local draft = r.body_draft
    r.body_draft = nil
    declare_length(r, draft.size)
    return take_store(r, draft)
end

-- The application says how long the unread body is (a number of bytes), or that there is none (nil).
function _M.set_length(r, length)
    local body = r.body
    if not length then
        _M.forget(r)
        r.content_length = nil
    elseif body and not r.body_read and not body.chunked and length < body.left then
        body:shorten(length)
        r.content_length = length
    end
end

-- Nobody wants the body: forget what has come; the rest is read when the request is over.
function _M.forget(r)
    local body, input = r.body, r.body and r.body.input
    if not body or r.body_read or body.done then
        return
    end
    r.content_length = 0
    if not body.chunked and input.buffer and input.len - input.pos >= body.left then
        body:advance(body.left)
    else
        r.body_discarded = true
    end
end

-- Read and forget what is left, so that the next request can be read. Returns true when all is gone.
function _M.discard(r)
    local body = r.body
    if not body then
        return true
    end
    body:rest()
    if body.done then
        return true
    end
    if r.expect_continue then -- the client waits for our word and will send nothing
        return false
    end
    local deadline = monotonic() + global_settings.lingering_time
    repeat
        local p, n = body:next(global_settings.lingering_timeout)
        if not p then
            return n == nil
        end
        body:advance(n)
    until body.received > LINGER_MAX or monotonic() > deadline
    return false
end

return _M
