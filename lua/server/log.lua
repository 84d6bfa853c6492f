-- Owns the error log: lines in nginx's format, written straight to a descriptor that the master opened.
-- Must never raise: a log line that cannot be written is lost.
local ffi = require "ffi"
local clock = require "server.clock"
local current = require "server.current"

local C = ffi.C
local floor = math.floor
local os_date = os.date
local tostring = tostring
local select = select
local concat = table.concat

pcall(ffi.cdef, "int getpid(void);")

local NAMES = {
    [0] = "stderr", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
}
local STDERR, ALERT, ERR, WARN, NOTICE, INFO = 0, 2, 4, 5, 6, 7
local MAX_LINE = 4096 -- of the message, as ngx_lua cuts it (NGX_MAX_ERROR_STR is 2048; twice that)

local _M = { NAMES = NAMES, level = NOTICE, fd = 2, sink = nil }

local pid = C.getpid()

local function context(r)
    if not r.remote_addr then
        return r.phase == "timer" and ", context: ngx.timer" or ""
    end
    local parts = { ", client: ", r.remote_addr or "", ", server: ", r.server_name or "" }
    if r.method then
        parts[#parts + 1] = ', request: "' .. r.method .. " " .. r.request_uri
            .. " HTTP/1." .. r.http_minor .. '"'
        local peer = r.peer
        if peer then
            parts[#parts + 1] = ', upstream: "http://' .. peer.name .. (r.upstream_target or r.request_uri) .. '"'
        end
        if r.host_header then
            parts[#parts + 1] = ', host: "' .. r.host_header .. '"'
        end
    end
    return concat(parts)
end

-- Write one line. level: 0..8 as ngx.STDERR..ngx.DEBUG; message: a string.
function _M.write(level, message)
    if level > _M.level and level ~= STDERR then
        return
    end
    local r = current.request
    local now = clock.now()
    if #message > MAX_LINE then
        message = message:sub(1, MAX_LINE)
    end
    local line = os_date("%Y/%m/%d %H:%M:%S", floor(now)) .. " [" .. NAMES[level] .. "] " .. pid .. "#0: "
        .. (r and r.connection and ("*" .. r.connection .. " ") or "") .. message
        .. (r and context(r) or "") .. "\n"
    if _M.sink then
        return _M.sink(level, line)
    end
    C.pygw_write(_M.fd, line, #line)
end

local function writer(level)
    return function(...)
        if level > _M.level then
            return
        end
        local parts = {}
        for i = 1, select("#", ...) do
            parts[i] = tostring((select(i, ...)))
        end
        return _M.write(level, concat(parts))
    end
end

_M.alert, _M.err, _M.warn, _M.notice, _M.info = writer(ALERT), writer(ERR), writer(WARN), writer(NOTICE), writer(INFO)

return _M
