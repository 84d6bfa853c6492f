-- Owns the facade of resty.core.base: the helpers that libraries written for lua-resty-core take from
-- it. get_request gives our request table where nginx gives a C pointer; nobody may look inside.
local ffi = require "ffi"
local current = require "server.current"
local new_tab = require "table.new"
local clear_tab = require "table.clear"

local ceil = math.ceil
local ffi_new = ffi.new

local FREE_LIST = 0

-- nginx's types that such libraries name in declarations of their own.
pcall(ffi.cdef, [[
    typedef struct { size_t len; unsigned char *data; } ngx_str_t;
    typedef struct ngx_http_request_s ngx_http_request_t;
]])
ffi.cdef "void free(void *ptr);" -- as lua-resty-core declares it: libraries call it without a declaration

local _M = {
    version = "0.1.33",
    new_tab = new_tab,
    clear_tab = clear_tab,
    FFI_OK = 0,
    FFI_ERROR = -1,
    FFI_AGAIN = -2,
    FFI_BUSY = -3,
    FFI_DONE = -4,
    FFI_DECLINED = -5,
    FFI_ABORT = -6,
    FFI_NO_REQ_CTX = -100,
    FFI_BAD_CONTEXT = -101,
}

-- The current request, or nil outside requests.
function _M.get_request()
    return current.request
end

local buffer_size = 4096
local buffer
local size_ptr
local errmsg_ptr

function _M.get_string_buf_size()
    return buffer_size
end

-- The size in bytes of the buffer that get_string_buf hands out from now on.
function _M.set_string_buf_size(size)
    if size > 0 then
        buffer_size, buffer = ceil(size), nil
    end
end

-- A char buffer of at least `size` bytes; the shared one, unless must_alloc or it is too small.
function _M.get_string_buf(size, must_alloc)
    if must_alloc or size > buffer_size then
        return ffi_new("char[?]", size)
    end
    buffer = buffer or ffi_new("char[?]", buffer_size)
    return buffer
end

-- A shared size_t[1].
function _M.get_size_ptr()
    size_ptr = size_ptr or ffi_new("size_t[1]")
    return size_ptr
end

-- A shared char *[1].
function _M.get_errmsg_ptr()
    errmsg_ptr = errmsg_ptr or ffi_new("char *[1]")
    return errmsg_ptr
end

-- Keep `value` in `list` and return its index, taking one from the free list at index 0 if there is
-- one; -1 for nil.
function _M.ref_in_table(list, value)
    if value == nil then
        return -1
    end
    local ref = list[FREE_LIST]
    if ref and ref ~= 0 then
        list[FREE_LIST] = list[ref]
    else
        ref = #list + 1
    end
    list[ref] = value
    return ref
end

-- Raises unless "http" is among the subsystems that a library allows: we have no other.
function _M.allows_subsystem(...)
    for i = 1, select("#", ...) do
        if select(i, ...) == "http" then
            return
        end
    end
    error("unsupported subsystem: http", 2)
end

return _M
