-- Owns request bodies that lie in files: temporary ones (nginx's client_body_temp_path) and those that
-- the application names. A file knows its path, its size in bytes and whether it goes when it is closed.
-- Must never know of requests.
local ffi = require "ffi"
local bit = require "bit"
local buffers = require "server.buffers"
local cdefs = require "server.cdefs"
local identity = require "server.identity"
local log = require "server.log"
local settings = require "server.settings"

local C = ffi.C
local ffi_errno, ffi_string = ffi.errno, ffi.string
local format, sub = string.format, string.sub
local getenv = os.getenv
local min = math.min
local setmetatable, tonumber = setmetatable, tonumber

ffi.cdef [[
int pygw_open(const char *path, int flags, ...) __asm__("open");
int pygw_pread(int fd, void *buf, size_t n, int64_t offset) __asm__("pread");
int64_t pygw_lseek(int fd, int64_t offset, int whence) __asm__("lseek");
int unlink(const char *path);
int mkdir(const char *path, unsigned int mode);
]]
pcall(ffi.cdef, "int getpid(void);")

local O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK, O_CLOEXEC = 2, 0x40, 0x80, 0x800, 0x80000
local ENOENT, EEXIST = 2, 17
local SEEK_END = 2
local PRIVATE, PRIVATE_DIR = ffi.cast("int", 384), 448 -- modes 0600 and 0700
local NAMES = 10000000000 -- file names are numbers of ten digits
local TRIES = 1000

local File = {}
File.__index = File

local _M = {}

-- The setting's directory, as a prefix of names; without one, the system's directory for temporary files.
local function name_prefix()
    local path = settings.client_body_temp_path
    if path == "" then
        return (getenv("TMPDIR") or "/tmp") .. "/pygw_body_"
    end
    return (sub(path, 1, 1) == "/" and path or identity.prefix .. path) .. "/"
end

local function errno_text(errno)
    return "(" .. errno .. ": " .. ffi_string(C.strerror(errno)) .. ")"
end

local function make_directory()
    local path = settings.client_body_temp_path
    return path ~= "" and C.mkdir(sub(name_prefix(), 1, -2), PRIVATE_DIR) == 0
end

local last_number = C.getpid() * 10000 % NAMES -- apart from those of other workers

local function try_create(tries)
    last_number = (last_number + 1) % NAMES
    local path = name_prefix() .. format("%010.0f", last_number)
    local fd = C.pygw_open(path, bit.bor(O_RDWR, O_CREAT, O_EXCL, O_CLOEXEC), PRIVATE)
    if fd >= 0 then
        return setmetatable({ path = path, fd = fd, size = 0, clean = true }, File)
    end
    local errno = ffi_errno()
    if tries > 0 and (errno == EEXIST or errno == cdefs.EINTR or errno == ENOENT and make_directory()) then
        return try_create(tries - 1)
    end
    log.crit('open() "', path, '" failed ', errno_text(errno))
    return nil, 'open() "' .. path .. '" failed'
end

-- A new temporary file, empty; it is removed when it is closed. Returns it, or nil and why not (logged).
function _M.create()
    return try_create(TRIES)
end

-- The file of that path, for reading. clean: remove it when it is closed. Returns it, or nil and why not.
function _M.open(path, clean)
    local fd = C.pygw_open(path, bit.bor(O_NONBLOCK, O_CLOEXEC))
    if fd < 0 then
        return nil, 'stat() "' .. path .. '" failed' -- as nginx, which looks first
    end
    return setmetatable({
        path = path, fd = fd, size = tonumber(C.pygw_lseek(fd, 0, SEEK_END)), clean = clean,
    }, File)
end

-- Append n bytes at pointer. Returns true, or nil and why not (logged).
function File:write(pointer, n)
    while n > 0 do
        local written = C.pygw_write(self.fd, pointer, n)
        if written >= 0 then
            pointer, n, self.size = pointer + written, n - written, self.size + written
        elseif ffi_errno() ~= cdefs.EINTR then
            log.crit('write() "', self.path, '" failed ', errno_text(ffi_errno()))
            return nil, 'write() "' .. self.path .. '" failed'
        end
    end
    return true
end

-- Read what follows `offset` into a buffer of `size` bytes. Returns a count; nil when the file ends there.
local function read_at(self, buffer, size, offset)
    local n = C.pygw_pread(self.fd, buffer, min(size, self.size - offset), offset)
    return n > 0 and n or nil
end

-- Call use(pointer, n, argument, seconds) for piece after piece. Returns true; nil and why not when use()
-- returned that, or "the file was cut" when it is shorter now than it was.
local function each_piece(self, use, argument, seconds)
    local buffer = buffers.take()
    local offset, ok, err = 0, true, nil
    while ok and offset < self.size do
        local n = read_at(self, buffer, buffers.SIZE, offset)
        if n then
            ok, err = use(buffer, n, argument, seconds)
            offset = offset + n
        else
            ok, err = nil, "the file was cut"
        end
    end
    buffers.give(buffer)
    return ok, err
end

local function send_piece(pointer, n, stream, seconds)
    return stream:send(pointer, n, seconds)
end

-- Send all of it over a stream; each wait takes at most `seconds`. Returns true, or nil and why not.
function File:send(stream, seconds)
    return each_piece(self, send_piece, stream, seconds)
end

local function gather(pointer, n, pieces)
    pieces[#pieces + 1] = ffi_string(pointer, n)
    return true
end

-- All of it as a string, or nil and why not.
function File:text()
    local pieces = {}
    local ok, err = each_piece(self, gather, pieces)
    if not ok then
        return nil, err
    end
    return table.concat(pieces)
end

-- Close it, and remove it if it is to go. It must not be used again.
function File:close()
    C.close(self.fd)
    self.fd = -1
    if self.clean and C.unlink(self.path) ~= 0 and ffi_errno() ~= ENOENT then
        log.crit('unlink() "', self.path, '" failed ', errno_text(ffi_errno()))
    end
end

return _M
