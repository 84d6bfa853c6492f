-- Owns the variables that tell what the client asked for: request line, fields, arguments, cookies, body.
-- Source: nginx, ngx_http_core_module, "Embedded Variables".
local base64 = require "ngx.api.base64"
local identity = require "server.identity"
local settings = require "server.settings"
local sysinfo = require "server.sysinfo"

local byte, find, gsub, lower = string.byte, string.find, string.gsub, string.lower
local match, sub = string.match, string.sub
local tostring = tostring

local AMPERSAND, EQUALS, SEMICOLON, COMMA, SPACE = 38, 61, 59, 44, 32

local get, set = {}, {}

function get.request_method(r) return r.main.method end
function get.request_uri(r) return r.request_uri end
function get.uri(r) return r.uri end
get.document_uri = get.uri
function get.args(r) return r.args end
get.query_string = get.args
function get.is_args(r) return r.args and r.args ~= "" and "?" or "" end
function get.server_protocol(r) return r.http_minor == 1 and "HTTP/1.1" or "HTTP/1.0" end

function get.content_length(r)
    local chunked = r.chunked and r.body_read and r.body_data
    return r.headers:get("content-length") or chunked and tostring(#chunked) or nil
end

function get.content_type(r) return r.headers:get("content-type") end
function get.request_body(r) return r.body_data ~= "" and r.body_data or nil end
function get.request_body_file(r) return r.body_file and r.body_file.path end

get.request = require "server.http.request_line"

function get.request_length(r)
    return tostring(r.head_size + (r.body and r.body.received or 0))
end

local function server_name(r)
    local server = r.server
    return server and server.name or ""
end
get.server_name = server_name

function get.host(r) return r.host or server_name(r) end

function get.request_id(r)
    local id = r.request_id
    if not id then
        id = sysinfo.random_hex(16)
        r.request_id = id
    end
    return id
end

-- The user of basic authentication.
function get.remote_user(r)
    local authorization = r.headers:get("authorization")
    local encoded = authorization and match(authorization, "^[Bb][Aa][Ss][Ii][Cc] +(.+)$")
    local decoded = encoded and base64.decode_base64(encoded)
    return decoded and match(decoded, "^([^:]+):") or nil
end

-- files, as the setting `root` has them
local function document_root(r)
    local root = (r.settings or settings).root
    return byte(root) == 47 and root or identity.prefix .. root
end
get.document_root = document_root

function get.request_filename(r) return document_root(r) .. r.uri end
function get.realpath_root(r) return sysinfo.real_path(document_root(r)) end

function set.args(r, value)
    r.args = value
    r.uri_changed = true
end

-- The value of the first argument `name` (lower case; any case in the query string) that has a "=".
local function argument(args, name, from)
    local start = find(lower(args), name, from, true)
    if not start then
        return nil
    end
    local behind = start + #name
    if byte(args, behind) ~= EQUALS or start > 1 and byte(args, start - 1) ~= AMPERSAND then
        return argument(args, name, start + 1)
    end
    local stop = find(args, "&", behind, true)
    return sub(args, behind + 1, (stop or 0) - 1)
end

-- The value of cookie `name` (lower case) in one field, as nginx reads it: "," parts cookies as ";" does.
local function cookie_in(text, name, at)
    local stop = #text
    while at <= stop do
        local behind = at + #name
        if lower(sub(text, at, behind - 1)) == name then
            local from, to = find(text, "^ *= *", behind)
            if from then
                return match(text, "^[^;]*", to + 1)
            end
        end
        while at <= stop and byte(text, at) ~= SEMICOLON and byte(text, at) ~= COMMA do
            at = at + 1
        end
        at = at + 1
        while byte(text, at) == SPACE do
            at = at + 1
        end
    end
    return nil
end

local function cookie(r, name)
    local headers = r.headers
    for i = 1, headers.n, 3 do
        local value = headers[i] == "cookie" and cookie_in(headers[i + 2], name, 1)
        if value then
            return value
        end
    end
    return nil
end

local prefixes = {}

function prefixes.arg_(name)
    return function(r)
        return r.args and argument(r.args, name, 1)
    end
end

function prefixes.cookie_(name)
    return function(r)
        return cookie(r, name)
    end
end

function prefixes.http_(name)
    local key = gsub(name, "_", "-")
    local separator = key == "cookie" and "; " or ", "
    if key == name then
        return function(r)
            return r.headers:joined(key, separator)
        end
    end
    return function(r)
        return r.headers:joined(key, separator) or r.headers:joined(name, separator)
    end
end

return { get = get, set = set, prefixes = prefixes }
