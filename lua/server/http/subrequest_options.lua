-- Owns what a subrequest is told beyond its URI: method, body, header fields, variables, context.
-- Mirrors ngx_http_lua_adjust_subrequest.
local headers = require "server.http.headers"
local log = require "server.log"
local methods = require "ngx.api.methods"
local vars = require "server.vars"

local find, tostring = string.find, tostring
local lower, clean, clean_name = headers.lower, headers.clean, headers.clean_name
local pairs = pairs

local _M = {}

local FORWARDS = { PUT = true, POST = true }

local function set_length(r, length)
    r.content_length = length
    r.headers:remove("content-length")
    if length then
        r.headers:add("content-length", "Content-Length", tostring(length))
    end
end

-- The body given; else the parent's, as far as that was read: for PUT and POST, or always if told so.
local function put_body(r, parent, options)
    if options.body then
        r.body_data = options.body
        return set_length(r, #options.body)
    elseif not options.forward_body and not FORWARDS[r.method] then
        return set_length(r, nil)
    end
    r.body_data, r.body_file = parent.body_data, parent.body_file
    local length = r.body_data and #r.body_data or r.body_file and r.body_file.size
    return set_length(r, length or parent.content_length and 0)
end

local function put_headers(r, given)
    for name, value in pairs(given) do
        name = clean_name(name)
        r.headers:set(lower(name), name, clean(value))
        if lower(name) == "host" then
            r.host_header, r.host = value, value:lower():gsub(":%d*$", "")
        end
    end
end

local function put_own_variables(r, parent, options)
    if options.share_all_vars then
        parent.vars = parent.vars or {}
        r.vars = parent.vars
    elseif options.copy_all_vars and parent.vars then
        r.vars = {}
        for name, value in pairs(parent.vars) do
            r.vars[name] = value
        end
    end
end

-- Returns nil, or the code of what failed.
local function put_variables(r, given)
    for name, value in pairs(given) do
        local ok, err = vars.set(r, name, value)
        if not ok and find(err, "not changeable$") then
            log.err(err)
            return 500
        elseif not ok then
            log.err('variable "', name, '" cannot be assigned a value (maybe you forgot to define it first?) ')
            return -1
        end
    end
end

-- Make subrequest r of parent what options say (see ngx.api.location). Returns nil, or a code of nginx's when
-- that cannot be done; what was wrong is logged.
function _M.put(r, parent, options)
    local method = methods[options.method or 2]
    if not method then
        log.err("unsupported HTTP method: ", options.method)
        return -1
    end
    r.method = method
    put_body(r, parent, options)
    if options.headers then
        put_headers(r, options.headers)
    end
    r.ctx = options.ctx
    put_own_variables(r, parent, options)
    return options.vars and put_variables(r, options.vars)
end

return _M
