-- Owns the module ngx.errlog. Source: lua-resty-core, ngx.errlog.
local capture = require "server.log_capture"
local log = require "server.log"

local error, tonumber, type = error, tonumber, type

local STDERR, DEBUG = 0, 8
local MAX_LOGS = 10
local NOT_SET = 'directive "lua_capture_error_log" is not set'

local _M = { version = "0.1.33" }

-- Keep only lines up to that level from now on. Returns true, or nil and an error text.
function _M.set_filter_level(level)
    if not level then
        return nil, 'missing "level" argument'
    elseif not capture.on() then
        return nil, NOT_SET
    elseif level > DEBUG or level < STDERR then
        return nil, "bad log level: " .. level
    end
    capture.set_level(level)
    return true
end

-- Take out the oldest max (10) lines that were kept (setting capture_error_log), into logs if given: an array of
-- level, time, line, level, …. Returns it, or nil and an error text.
function _M.get_logs(max, logs)
    if not capture.on() then
        return nil, NOT_SET
    end
    logs = logs or {}
    local count = 0
    for _ = 1, max or MAX_LOGS do
        local line = capture.take()
        if not line then
            break
        end
        logs[count + 1], logs[count + 2], logs[count + 3] = line.level, line.time, line.text
        count = count + 3
    end
    logs[count + 1] = nil
    return logs
end

-- The level of the error log: 0..8 as ngx.STDERR..ngx.DEBUG.
function _M.get_sys_filter_level()
    return tonumber(log.level)
end

-- Write text as it is, without the position of the caller.
function _M.raw_log(level, text)
    if type(level) ~= "number" then
        error("bad argument #1 to 'raw_log' (must be a number)", 2)
    elseif type(text) ~= "string" then
        error("bad argument #2 to 'raw_log' (must be a string)", 2)
    elseif level < STDERR or level > DEBUG then
        error("bad log level", 2)
    end
    log.write(level, text)
end

return _M
