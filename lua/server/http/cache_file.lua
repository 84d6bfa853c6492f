-- Owns the files of a cache: where one lies, its form, reading and writing. A file is complete or not there: it is
-- written under another name. All workers share them, and whoever removes one (a purge) needs to ask nobody.
local ffi = require "ffi"
local bit = require "bit"
local buffer = require "string.buffer"
local buffers = require "server.buffers"
local log = require "server.log"
local sweep = require "server.http.cache_sweep"

local C = ffi.C
local ffi_errno, ffi_string = ffi.errno, ffi.string
local format, gmatch, sub = string.format, string.gmatch, string.sub
local min = math.min
local pcall, setmetatable, tonumber, type = pcall, setmetatable, tonumber, type
local rename, remove = os.rename, os.remove
local md5 = ngx.md5

require "server.http.body_file" -- declares the rest
ffi.cdef "int futimens(int fd, const void *times);"

-- The form: this mark, the length of what follows in eight hexadecimal digits, that (a table of string.buffer), the
-- body.
local MARK = "pygw cache 1\n"
local PREFIX = #MARK + 8

local O_WRONLY, O_CREAT, O_EXCL, O_CLOEXEC = 1, 0x40, 0x80, 0x80000
local PRIVATE, PRIVATE_DIR = ffi.cast("int", 384), 448 -- modes 0600 and 0700
local ENOENT = 2

local File = {}
File.__index = File

local Writer = {}
Writer.__index = Writer

local _M = {}

-- Where the response for `key` lies in zone {path, levels}, as nginx has it: levels "1:2" of ...c are "c/ab/...abc".
function _M.path(zone, key)
    local name = md5(key)
    local path, stop = zone.path, #name
    for level in gmatch(zone.levels, "%d") do
        path = path .. "/" .. sub(name, stop - tonumber(level) + 1, stop)
        stop = stop - tonumber(level)
    end
    return path .. "/" .. name
end

local function read_at(fd, size, offset)
    local room = buffer.new(size)
    local place = room:reserve(size)
    local n = C.pygw_pread(fd, place, size, offset)
    return room:commit(n > 0 and n or 0):get()
end

-- What is told of the response in an open file, and where its body begins; nil: it is none of ours.
local function read_meta(fd)
    local prefix = read_at(fd, PREFIX, 0)
    local length = sub(prefix, 1, #MARK) == MARK and tonumber(sub(prefix, #MARK + 1), 16)
    if not length then
        return nil
    end
    local text = read_at(fd, length, PREFIX)
    local ok, meta = pcall(buffer.decode, text)
    return ok and type(meta) == "table" and meta or nil, PREFIX + length
end

-- Open the response for `key`: a file with `meta`, what was given to create(); nil when there is none.
function _M.open(zone, key)
    local path = _M.path(zone, key)
    local fd = C.pygw_open(path, O_CLOEXEC)
    if fd < 0 then
        return nil
    end
    local meta, offset = read_meta(fd)
    if not meta or meta.key ~= key then
        C.close(fd)
        return nil
    end
    return setmetatable({ fd = fd, meta = meta, offset = offset, path = path }, File)
end

-- Note that the response was asked for: what is not goes first.
function File:touch()
    C.futimens(self.fd, nil)
end

-- Call use(pointer, n, last, argument) for piece after piece of the body until that returns false. Returns whether
-- it was all.
function File:each_piece(use, argument)
    local size = tonumber(C.pygw_lseek(self.fd, 0, 2))
    local at, room, ok = self.offset, buffers.take(), true
    while ok and at < size do
        local n = C.pygw_pread(self.fd, room, min(buffers.SIZE, size - at), at)
        at = at + n
        ok = n > 0 and use(room, n, at == size, argument)
    end
    buffers.give(room)
    return ok and true or false
end

-- It must not be used again; once more does no harm.
function File:close()
    if self.fd >= 0 then
        C.close(self.fd)
        self.fd = -1
    end
end
File.drop = File.close

local function make_directories(path)
    local at = 1
    while at do
        at = path:find("/", at + 1, true)
        if at then
            C.mkdir(sub(path, 1, at - 1), PRIVATE_DIR)
        end
    end
end

local serial = 0

local function open_new(path)
    return C.pygw_open(path, bit.bor(O_WRONLY, O_CREAT, O_EXCL, O_CLOEXEC), PRIVATE)
end

-- A writer of the response for meta.key. meta: a table of plain values. Returns it, or nil (logged).
function _M.create(zone, meta)
    serial = serial + 1
    local path = _M.path(zone, meta.key)
    local temporary = format("%s.%d.%d", path, C.getpid(), serial)
    local fd = open_new(temporary)
    if fd < 0 and ffi_errno() == ENOENT then
        make_directories(path)
        fd = open_new(temporary)
    end
    if fd < 0 then
        log.crit('open() "', temporary, '" failed (', ffi_errno(), ": ", ffi_string(C.strerror(ffi_errno())), ")")
        return nil
    end
    local writer = setmetatable({ fd = fd, path = path, temporary = temporary, size = 0, zone = zone }, Writer)
    local text = buffer.encode(meta)
    local head = MARK .. format("%08x", #text) .. text
    writer:put(ffi.cast("const uint8_t *", head), #head)
    return writer
end

-- Take n bytes of the body at pointer. What cannot be written is logged, and ends the writing.
function Writer:put(pointer, n)
    while n > 0 and self.fd >= 0 do
        local written = C.pygw_write(self.fd, pointer, n)
        if written < 0 then
            log.crit('write() "', self.temporary, '" failed (', ffi_errno(), ")")
            return self:drop()
        end
        pointer, n, self.size = pointer + written, n - written, self.size + written
    end
end

-- The response is over: if all of it was written, let it be found.
function Writer:close(whole)
    if not whole or self.fd < 0 then
        return self:drop()
    end
    C.close(self.fd)
    self.fd = -1
    local ok, err = rename(self.temporary, self.path)
    if not ok then
        log.crit("rename() failed: ", err)
        return remove(self.temporary)
    end
    return sweep.note(self.zone, self.size)
end

-- Forget it.
function Writer:drop()
    if self.fd >= 0 then
        C.close(self.fd)
        self.fd = -1
        remove(self.temporary)
    end
end

return _M
