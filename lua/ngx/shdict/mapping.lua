-- Owns the memory that shared dictionaries map: it is given back as the last thing that the Lua VM does. Must never
-- know what is in it.
--
-- When a VM is closed, Lua runs finalizers in the reverse order of their objects' creation, and those of user code
-- may still use a dictionary. The object below is older than all user code, so its finalizer runs after theirs.
local ffi = require "ffi"

local C = ffi.C
local cast = ffi.cast
local getmetatable, ipairs, newproxy = getmetatable, ipairs, newproxy

ffi.cdef [[
void *pygw_shdict_map(void *address, size_t length, int protection, int flags, int fd, long offset)
    __asm__("mmap");
int pygw_shdict_unmap(void *address, size_t length) __asm__("munmap");
]]

local READ_WRITE = 3
local SHARED, PRIVATE_ANONYMOUS = 0x01, 0x22

local held = {} -- {memory, bytes, over}

local _M = {}

-- Map a file, or without one memory of this VM's own that is all 0. over(): called at the end; returns whether the
-- memory may be given back then. Returns its address, or nil and an error.
function _M.map(bytes, over, fd)
    local flags = fd and SHARED or PRIVATE_ANONYMOUS
    local memory = C.pygw_shdict_map(nil, bytes, READ_WRITE, flags, fd or -1, 0)
    if cast("intptr_t", memory) == -1 then
        return nil, "cannot map " .. bytes .. " bytes for shared dictionaries: errno " .. ffi.errno()
    end
    held[#held + 1] = { memory, bytes, over }
    return memory
end

_M.last = newproxy(true)
getmetatable(_M.last).__gc = function()
    for _, each in ipairs(held) do
        if each[3]() then
            C.pygw_shdict_unmap(each[1], each[2])
        end
    end
end

return _M
