-- Owns the file system functions that plugins take from LuaFileSystem 1.8: attributes, symlinkattributes, dir,
-- mkdir, rmdir, currentdir, touch. It blocks, as the original. Must never change the working directory, which
-- belongs to the whole process: there is no chdir.
local bit = require "bit"
local ffi = require "ffi"

local C = ffi.C
local band, rshift = bit.band, bit.rshift
local error, ipairs, pairs, setmetatable, tonumber, type = error, ipairs, pairs, setmetatable, tonumber, type
local concat = table.concat

-- statx, because its struct is the same on all machines.
ffi.cdef [[
struct pygw_statx_time { int64_t sec; uint32_t nsec; int32_t reserved; };
struct pygw_statx {
    uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct pygw_statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor; uint64_t spare[14];
};
struct pygw_dirent { uint64_t ino; int64_t off; uint16_t reclen; uint8_t type; char name[256]; };
struct pygw_utime { long sec, nsec; };
int pygw_statx(int dir, const char *path, int flags, unsigned int mask, struct pygw_statx *into)
    __asm__("statx");
void *pygw_opendir(const char *path) __asm__("opendir");
struct pygw_dirent *pygw_readdir(void *dir) __asm__("readdir");
int pygw_closedir(void *dir) __asm__("closedir");
int pygw_mkdir(const char *path, unsigned int mode) __asm__("mkdir");
int pygw_rmdir(const char *path) __asm__("rmdir");
char *pygw_getcwd(char *into, size_t size) __asm__("getcwd");
ptrdiff_t pygw_readlink(const char *path, char *into, size_t size) __asm__("readlink");
int pygw_utimensat(int dir, const char *path, const struct pygw_utime *times, int flags) __asm__("utimensat");
char *pygw_strerror(int number) __asm__("strerror");
]]

local AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS = -100, 0x100, 0x7ff
local PATH_MAX = 4096
local NEW_DIRECTORY = 511         -- 0777, less the umask

local KINDS = {
    [0x1] = "named pipe", [0x2] = "char device", [0x4] = "directory", [0x6] = "block device", [0x8] = "file",
    [0xa] = "link", [0xc] = "socket",
}
local PERMISSIONS = { "r", "w", "x", "r", "w", "x", "r", "w", "x" }

local _M = { _VERSION = "LuaFileSystem 1.8.0" }
local buffer = ffi.new("struct pygw_statx")

local function last_error()
    local number = ffi.errno()
    return ffi.string(C.pygw_strerror(number)), number
end

local function permissions(mode)
    local letters = {}
    for i, letter in ipairs(PERMISSIONS) do
        letters[i] = band(rshift(mode, 9 - i), 1) == 1 and letter or "-"
    end
    return concat(letters)
end

-- A device number as stat(2) gives it.
local function device(major, minor)
    return major % 4096 * 256 + minor % 256 + (minor - minor % 256) * 4096 + (major - major % 4096) * 2 ^ 32
end

local FIELDS = {
    mode = function(s) return KINDS[rshift(s.mode, 12)] or "other" end,
    dev = function(s) return device(s.dev_major, s.dev_minor) end,
    ino = function(s) return tonumber(s.ino) end,
    nlink = function(s) return s.nlink end,
    uid = function(s) return s.uid end,
    gid = function(s) return s.gid end,
    rdev = function(s) return device(s.rdev_major, s.rdev_minor) end,
    access = function(s) return tonumber(s.atime.sec) end,
    modification = function(s) return tonumber(s.mtime.sec) end,
    change = function(s) return tonumber(s.ctime.sec) end,
    size = function(s) return tonumber(s.size) end,
    permissions = function(s) return permissions(s.mode) end,
    blocks = function(s) return tonumber(s.blocks) end,
    blksize = function(s) return s.blksize end,
}

local function stat(path, flags)
    if C.pygw_statx(AT_FDCWD, path, flags, STATX_BASIC_STATS, buffer) == 0 then
        return true
    end
    local message, number = last_error()
    return nil, "cannot obtain information from file '" .. path .. "': " .. message, number
end

local function read(flags, path, wanted)
    local ok, err, number = stat(path, flags)
    if not ok then
        return nil, err, number
    end
    if type(wanted) == "string" then
        local field = FIELDS[wanted]
        if not field then
            error("invalid attribute name '" .. wanted .. "'", 3)
        end
        return field(buffer)
    end
    local attributes = type(wanted) == "table" and wanted or {}
    for name, field in pairs(FIELDS) do
        attributes[name] = field(buffer)
    end
    return attributes
end

-- What a path leads to. wanted: one attribute's name; a table to fill; nil for a new table. Attributes: mode
-- ("file", "directory", "link", …), size (bytes), modification, access, change (Unix seconds), permissions
-- ("rw-r--r--"), uid, gid, nlink, dev, rdev, ino, blocks, blksize. Fails with nil, message, errno.
function _M.attributes(path, wanted)
    return read(0, path, wanted)
end

local function link_target(path)
    local into = ffi.new("char[?]", PATH_MAX)
    local length = C.pygw_readlink(path, into, PATH_MAX)
    return length >= 0 and ffi.string(into, length) or nil
end

-- As attributes, of a symbolic link itself; `target` is where it leads.
function _M.symlinkattributes(path, wanted)
    if wanted == "target" then
        return link_target(path)
    end
    local attributes, err, number = read(AT_SYMLINK_NOFOLLOW, path, wanted)
    if err then
        return nil, err, number
    end
    if type(attributes) == "table" and attributes.mode == "link" then
        attributes.target = link_target(path)
    end
    return attributes
end

local directory = {}
directory.__index = directory

-- The next name, nil after the last one (which closes it). Raises "closed directory" after that.
function directory.next(self)
    if not self.handle then
        error("closed directory", 2)
    end
    local entry = C.pygw_readdir(self.handle)
    if entry ~= nil then
        return ffi.string(entry.name)
    end
    self:close()
end

-- Closing again does nothing.
function directory.close(self)
    if self.handle then
        C.pygw_closedir(ffi.gc(self.handle, nil))
        self.handle = nil
    end
end

-- For `for name in lfs.dir(path)`: the names in a directory, "." and ".." among them. Raises when it
-- cannot be opened. Returns the iterator and the directory, which has next() and close().
function _M.dir(path)
    local handle = C.pygw_opendir(path)
    if handle == nil then
        error("cannot open " .. path .. ": " .. last_error(), 2)
    end
    return directory.next, setmetatable({ handle = ffi.gc(handle, C.pygw_closedir) }, directory)
end

local function outcome(result)
    if result == 0 then
        return true
    end
    local message, number = last_error()
    return nil, message, number
end

-- Returns true, or nil, message, errno; so do rmdir and touch.
function _M.mkdir(path)
    return outcome(C.pygw_mkdir(path, NEW_DIRECTORY))
end

function _M.rmdir(path)
    return outcome(C.pygw_rmdir(path))
end

-- Set the times of a file, in Unix seconds: access (default now), modification (default access).
function _M.touch(path, access, modification)
    local times
    if access then
        times = ffi.new("struct pygw_utime[2]", { { access, 0 }, { modification or access, 0 } })
    end
    return outcome(C.pygw_utimensat(AT_FDCWD, path, times, 0))
end

-- The working directory, or nil, message, errno.
function _M.currentdir()
    local into = ffi.new("char[?]", PATH_MAX)
    if C.pygw_getcwd(into, PATH_MAX) == nil then
        return nil, last_error()
    end
    return ffi.string(into)
end

return _M
