-- Owns bodies that are still growing: up to a bound they are held in memory, what is larger goes into a
-- temporary file. Must never know of requests.
local ffi = require "ffi"
local files = require "server.http.body_file"
local log = require "server.log"

local cast, ffi_string = ffi.cast, ffi.string
local concat = table.concat
local setmetatable = setmetatable

local Store = {}
Store.__index = Store

local _M = {}

-- An empty store; by_application is its user's to set. room: bytes that it may hold in memory; below 0: all
-- goes into a file, an empty body too.
function _M.new(room)
    return setmetatable({
        room = room, pieces = {}, held = 0, size = 0, file = nil, by_application = false,
    }, Store)
end

-- Put what is held into the file. Returns true, or nil and why not.
local function spill(self)
    if not self.file then
        local file, err = files.create()
        if not file then
            return nil, err
        end
        self.file = file
        if self.room >= 0 then
            log.warn("a client request body is buffered to a temporary file ", file.path)
        end
    end
    local text = concat(self.pieces)
    self.pieces, self.held = {}, 0
    return self.file:write(cast("const uint8_t *", text), #text)
end

-- Take n bytes at pointer. Returns true, or nil and why not.
function Store:put(pointer, n)
    self.size = self.size + n
    if self.held + n > self.room then
        local ok, err = spill(self)
        if not ok then
            return nil, err
        end
        return self.file:write(pointer, n)
    end
    self.pieces[#self.pieces + 1] = ffi_string(pointer, n)
    self.held = self.held + n
    return true
end

-- Take a string; returns as put does.
function Store:append(text)
    return self:put(cast("const uint8_t *", text), #text)
end

-- What lies in memory, as a string; nil when there is a file.
function Store:data()
    return not self.file and concat(self.pieces) or nil
end

-- Empty the store. Returns its bytes as a string, or nil and the file with them; or nil, nil and why not.
function Store:take()
    if not self.file and self.room >= 0 then
        return concat(self.pieces)
    end
    local ok, err = spill(self)
    if not ok then
        self:drop()
        return nil, nil, err
    end
    local file = self.file
    self.file = nil
    return nil, file
end

-- Nobody wants it: its file goes.
function Store:drop()
    local file = self.file
    if file then
        self.file = nil
        file:close()
    end
end

return _M
