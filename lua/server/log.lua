-- Owns the error log: lines in nginx's format, written straight to a descriptor that the master opened.
-- Must never raise: a log line that cannot be written is lost.
local ffi = require "ffi"
local clock = require "server.clock"
local contexts = require "server.contexts"
local current = require "server.current"
local phases = require "server.phases"
local request_line = require "server.http.request_line"
local serial = require "server.serial"
local sysinfo = require "server.sysinfo"

local C = ffi.C
local floor = math.floor
local os_date = os.date
local tostring = tostring
local select = select
local concat = table.concat
local sub = string.sub

pcall(ffi.cdef, "int getpid(void);")

local NAMES = {
    [0] = "", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
}
local ALERT, CRIT, ERR, WARN, NOTICE, INFO, DEBUG = 2, 3, 4, 5, 6, 7, 8
local MAX_LINE = 4096 -- bytes with the line's end; OpenResty's NGX_MAX_ERROR_STR

-- capture(level, time, line): who keeps lines for Lua code (server.log_capture), if anybody does.
-- record(level, time, text): who sends them to Python hooks, likewise.
local _M = { NAMES = NAMES, level = NOTICE, fd = 2, sink = nil, capture = nil, record = nil }

local pid = C.getpid()
local number_of_worker

local function request_context(r)
    local main = r.main or r
    local line = request_line(main)
    local parts = { line ~= "" and ', request: "' .. line .. '"' or "" }
    if main ~= r then
        parts[#parts + 1] = ', subrequest: "' .. r.uri .. '"'
    end
    local peer = r.peer
    if peer then
        parts[#parts + 1] = (peer.secure and ', upstream: "https://' or ', upstream: "http://') .. peer.name
            .. (r.upstream_target or r.request_uri) .. '"'
    end
    if main.host_header then
        parts[#parts + 1] = ', host: "' .. main.host_header .. '"'
    end
    local referrer = main.headers:get("referer")
    if referrer then
        parts[#parts + 1] = ', referrer: "' .. referrer .. '"'
    end
    return concat(parts)
end

-- Who the request that set a timer was of, and where it came in.
local function client_context(r)
    return ", client: " .. r.client_addr .. ", server: " .. sysinfo.listening_address(r.listener)
end

-- What nginx calls the thing that it does in a phase.
local ACTIONS = {
    log = " while logging request", balancer = " while connecting to upstream",
    header_filter = " while reading response header from upstream", body_filter = " while sending to client",
    proxy_ssl_cert = " while loading proxy ssl certificate by lua",
    proxy_ssl_verify = " while loading proxy ssl verify by lua",
}
local OF_PROXYING = { header_filter = true, body_filter = true }

local function action(r)
    local phase = r.phase
    return (not OF_PROXYING[phase] or r.upstream_headers) and ACTIONS[phase] or ""
end

-- What the line was about, as nginx's log handlers say it. r: nil outside of any request.
local function context(r)
    if r and r.describe then
        return r:describe()
    elseif r and r.remote_addr then
        return action(r) .. ", client: " .. r.remote_addr .. ", server: " .. (r.server and r.server.name or "")
            .. (r.method and request_context(r) or "")
    end
    local phase = r and r.phase or current.task and phases.global or "init"
    if phase == "init" then
        return ""
    end
    return ", context: " .. contexts.name(phase) .. (r and r.client_addr and client_context(r) or "")
end

-- What a line of request r ends with.
_M.context = context

local function put(level, number, text)
    local now = clock.now()
    local line = os_date("%Y/%m/%d %H:%M:%S", floor(now)) .. " [" .. NAMES[level] .. "] " .. pid .. "#0: "
        .. number .. text
    line = sub(line, 1, MAX_LINE - 1)
    if _M.capture then
        _M.capture(level, now, line)
    end
    if _M.record then
        _M.record(level, now, number .. text)
    end
    line = line .. "\n"
    if _M.sink then
        return _M.sink(level, line)
    end
    C.pygw_write(_M.fd, line, #line)
end

-- The number under which a worker's own handlers (init_worker, exit_worker) write; nil elsewhere.
local function own_number()
    if current.task and phases.global ~= "init" then
        number_of_worker = number_of_worker or serial()
        return number_of_worker
    end
end

-- Write one line. level: 0..8 as ngx.STDERR..ngx.DEBUG; message: a string.
function _M.write(level, message)
    if level <= _M.level then
        local r = current.request
        local number = r and r.connection or not r and own_number()
        return put(level, number and "*" .. number .. " " or "", message .. context(r))
    end
end

-- The same of what is no matter of the request that runs, such as a mistake in a pattern.
function _M.bare(level, message)
    if level <= _M.level then
        return put(level, "", message)
    end
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

_M.alert, _M.crit, _M.err = writer(ALERT), writer(CRIT), writer(ERR)
_M.warn, _M.notice, _M.info, _M.debug = writer(WARN), writer(NOTICE), writer(INFO), writer(DEBUG)

return _M
