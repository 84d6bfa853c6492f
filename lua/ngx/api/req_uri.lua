-- Owns the part of ngx.req that is about the request's URI and its arguments. Source: the ngx_lua
-- documentation.
local argcheck = require "server.argcheck"
local clear_table = require "table.clear"
local contexts = require "server.contexts"
local exit_request = require "server.exit"
local querystring = require "ngx.api.querystring"
local running = require "ngx.api.running"

local error, select, tostring, type = error, select, tostring, type
local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub

local UNSAFE = "[%z\1-\8\10-\31\127]"
local UNPRINTED = '[%z\1-\31"\\\127-\255]' -- as ngx_http_lua_escape_log has it

local _M = {}

-- The query arguments (see ngx.decode_args). max: how many at most (100; 0: no limit); tab: a table to put
-- them into, which is emptied first. "truncated" second when there were more.
function _M.get_uri_args(max, tab)
    local r = running(2)
    if tab then
        clear_table(tab)
    end
    max = max or -1
    if type(max) ~= "number" then
        argcheck.fail(1, 1, "number expected, got " .. type(max))
    end
    return querystring.decode_uri_args(r.args or "", max - max % 1, tab)
end

local function hexadecimal(c)
    return format("\\x%02X", byte(c))
end

local function percent(c)
    return format("%%%02X", byte(c))
end

-- args: a string, or a table for ngx.encode_args.
function _M.set_uri_args(...)
    local count = select("#", ...)
    if count ~= 1 then
        error("expecting 1 argument but seen " .. count, 2)
    end
    local r = running(2)
    local args = ...
    if type(args) == "table" then
        args = querystring.encode(args, 2)
    elseif type(args) == "number" then
        args = tostring(args)
    elseif type(args) ~= "string" then
        error("bad argument #1 to 'set_uri_args' (string, number, or table expected, but got " .. type(args) .. ")", 2)
    end
    if find(args, "[%z\1-\32\127]") then
        args = gsub(args, "[%z\1-\32\127]", percent)
    end
    r.args = args
    r.uri_changed = true
end

local function check_uri(path, binary)
    if path == "" then
        error("attempt to use zero-length uri", 3)
    end
    local bad = not binary and find(path, UNSAFE)
    if bad then
        error(format("unsafe byte \"0x%02x\" in uri \"%s\" (maybe you want to set the 'binary' argument?)",
            byte(path, bad), (gsub(path, UNPRINTED, hexadecimal))), 3)
    end
end

local REWRITES = { rewrite = true, server_rewrite = true }

local function check_jump(r)
    if not REWRITES[r.phase] then
        error(contexts.refusal(r), 3)
    elseif r.pending > 0 then
        error("attempt to abort with pending subrequests", 3)
    end
end

-- Set the (decoded) path. jump: leave the rewrite phase and look for the location anew; does not return then.
-- binary: take control bytes too.
function _M.set_uri(...)
    local count = select("#", ...)
    if count < 1 or count > 3 then
        error("expecting 1, 2 or 3 arguments but seen " .. count, 2)
    end
    local r = running(2)
    local path, jump, binary = ...
    if type(path) == "number" then
        path = tostring(path)
    elseif type(path) ~= "string" then
        error("bad argument #1 to 'set_uri' (string expected, got " .. type(path) .. ")", 2)
    elseif count == 3 and type(binary) ~= "boolean" then
        error("bad argument #3 to 'set_uri' (boolean expected, got " .. type(binary) .. ")", 2)
    end
    check_uri(path, binary)
    if count >= 2 and type(jump) ~= "boolean" then
        error("bad argument #2 to 'set_uri' (boolean expected, got " .. type(jump) .. ")", 2)
    elseif jump then
        check_jump(r)
    end
    r.uri = path
    r.uri_changed = true
    r.internal = true
    if jump then
        return exit_request(0, require("server.http.handler").jump)
    end
end

return _M
