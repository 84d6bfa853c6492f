-- Owns the module ngx.req: ngx.req with add_header(). Source: lua-resty-core, ngx.req.
local current = require "server.current"
local headers = require "server.http.headers"

local clean, lower = headers.clean, headers.lower
local error = error
local ipairs = ipairs
local type = type

local req = ngx.req

-- Append a request field beside those of its name. value: a string or an array of them.
function req.add_header(name, value)
    local r = current.request
    if not r or not r.method then
        error("no request found", 2)
    end
    if type(name) ~= "string" or value == nil then
        error("bad argument to 'add_header' (name and value expected)", 2)
    end
    r.headers_changed = true
    local key = lower(name)
    for _, each in ipairs(type(value) == "table" and value or { value }) do
        r.headers:add(key, name, clean(each))
    end
end

return req
