-- Owns the access log of a location: a line for each request, as access_log and log_format say.
local code = require "conformance.code"
local current = require "server.current"
local values = require "conformance.values"
local vars = require "server.vars"

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local error, io_open, ipairs, tostring = error, io.open, ipairs, tostring
local concat = table.concat

local _M = {}

local COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    .. '"$http_referer" "$http_user_agent"'

local function hexadecimal(char)
    return format("\\x%02X", byte(char))
end

local function unicode(char)
    return find(char, '["\\]') and "\\" .. char or format("\\u%04X", byte(char))
end

local ESCAPE = {
    default = function(value) return (gsub(value, '[%z\1-\31"\\\127-\255]', hexadecimal)) end,
    json = function(value) return (gsub(value, '[%z\1-\31"\\]', unicode)) end,
    none = function(value) return value end,
}
local MISSING = { default = "-", json = "", none = "" }

-- A function () -> string for the text of a format. way: of escaping, "default", "json" or "none".
local function line_of(text, way)
    local escape, missing = ESCAPE[way], MISSING[way]
    local function variable(name)
        local value = vars.getter(name)(current.request)
        return value == nil and missing or escape(tostring(value))
    end
    local braced = gsub(text, "%${([%w_]+)}", "$%1\0")
    return function()
        return (gsub(braced, "%$([%a_][%w_]*)%z?", variable))
    end
end

-- The format of that name, as a function () -> string.
local function format_of(conf, name)
    for _, directive in ipairs(conf.all("log_format")) do
        local args = directive.args
        if args[1] == name then
            local way = args[2]:match("^escape=(%w+)$")
            return line_of(concat(args, "", way and 3 or 2), way or "default")
        end
    end
    if name ~= "combined" then
        error('unknown log format "' .. name .. '"', 0)
    end
    return line_of(COMBINED, "default")
end

-- One access_log directive as a function that writes a line.
local function writer(conf, args)
    local path, name, condition = args[1], "combined", nil
    for i = 2, #args do
        local given = args[i]:match("^if=(.*)$")
        if given then
            condition = values.template(given)
        elseif not find(args[i], "=", 1, true) then
            name = args[i]
        end
    end
    if sub(path, 1, 1) ~= "/" then
        path = code.prefix .. path
    end
    local line = format_of(conf, name)
    return function()
        local wanted = condition and condition()
        if wanted == "" or wanted == "0" then
            return
        end
        local file, err = io_open(path, "a")
        if not file then
            error(err, 0)
        end
        file:write(line(), "\n")
        file:close()
    end
end

-- The log phase of a location: its log_by_lua (a function or nil), then the lines of the access log; nil when
-- there is neither. Raises "skip: why" for a log that is not a file.
function _M.handler(conf, lua)
    local writers = {}
    for _, directive in ipairs(conf.all("access_log")) do
        if find(directive.args[1], "^syslog:") then
            error("skip: nginx's syslog", 0)
        elseif directive.args[1] ~= "off" then
            writers[#writers + 1] = writer(conf, directive.args)
        end
    end
    if #writers == 0 then
        return lua
    end
    return function()
        if lua then
            lua()
        end
        if not ngx.is_subrequest then
            for _, write in ipairs(writers) do
                write()
            end
        end
    end
end

return _M
