-- Owns ngx.exec: the internal redirect of a request. Source: the ngx_lua documentation, "ngx.exec".
local contexts = require "server.contexts"
local current = require "server.current"
local exit_request = require "server.exit"
local log = require "server.log"
local querystring = require "ngx.api.querystring"
local uris = require "server.http.uri"

local error, select, tostring, type = error, select, tostring, type
local byte = string.byte
local AT = 64

local _M = {}

local ALLOWED = { rewrite = true, server_rewrite = true, access = true, precontent = true, content = true }

-- The arguments as a string: as they are given, or a table encoded.
local function text_of(args)
    local kind = type(args)
    if kind == "table" then
        return (querystring.encode(args, 3))
    elseif kind == "string" or kind == "number" then
        return tostring(args)
    elseif kind == "nil" then
        return ""
    end
    error("bad argument #2 to 'exec' (string, number, or table expected, but got " .. kind .. ")", 3)
end


local function check_uri(uri)
    if type(uri) == "number" then
        uri = tostring(uri)
    elseif type(uri) ~= "string" then
        error("bad argument #1 to 'exec' (string expected, got " .. type(uri) .. ")", 3)
    end
    if uri == "" then
        error("The uri argument is empty", 3)
    end
    return uri
end

-- Go on at another location of the server: uri is a path with or without a query string, or "@name".
-- args: further arguments, a string or a table for ngx.encode_args. Does not return.
function _M.exec(...)
    local count = select("#", ...)
    if count ~= 1 and count ~= 2 then
        error("expecting one or two arguments, but got " .. count, 2)
    end
    local uri, more = ...
    uri = check_uri(uri)
    local r = current.request
    if not r then
        error(contexts.no_request("no request found"), 2)
    elseif not ALLOWED[r.phase] then
        error(contexts.refusal(r), 2)
    elseif r.pending > 0 then
        error("attempt to abort with pending subrequests", 2)
    end
    local path, args = uris.parse_unsafe(uri)
    if not path then
        log.err('unsafe URI "', uri, '" was detected')
        error("unsafe uri", 2)
    end
    args = uris.join_args(args, text_of(more))
    if r.header_sent then
        error("attempt to call ngx.exec after sending out response headers", 2)
    end
    if byte(path) == AT and args and args ~= "" then
        log.warn("query strings ", args, " ignored when exec'ing named location ", path)
    end
    return exit_request(0, function(request)
        return require("server.http.handler").exec(request, path, args)
    end)
end

return _M
