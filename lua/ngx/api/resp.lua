-- Owns ngx.header and ngx.resp: the response's fields. Source: the ngx_lua documentation.
local current = require "server.current"
local headers = require "server.http.headers"
local log = require "server.log"

local lower, clean, clean_name = headers.lower, headers.clean, headers.clean_name
local error, type, ipairs, setmetatable = error, type, ipairs, setmetatable
local gsub, find = string.gsub, string.find

local function request()
    local r = current.request
    if not r or not r.method then
        error(r and "API disabled in the current context" or "no request found", 3)
    end
    return r
end

-- Names are written as they are given, but "_" stands for "-", and known ones get their usual case.
local USUAL = {}
for _, name in ipairs({
    "Content-Type", "Content-Length", "Content-Encoding", "Cache-Control", "Set-Cookie", "Location",
    "Last-Modified", "Accept-Ranges", "Expires", "ETag", "Server", "Date", "Vary",
}) do
    USUAL[name:lower()] = name
end

local names, names_n = {}, 0

-- Returns the lower-cased key and the name to write.
local function name_of(name)
    local known = names[name]
    if not known then
        local written = gsub(clean_name(name), "_", "-")
        local key = lower(written)
        known = { key, find(name, "_", 1, true) and USUAL[key] or written }
        if names_n < 1000 then
            names_n = names_n + 1
            names[name] = known
        end
    end
    return known[1], known[2]
end

local SINGLE = {
    ["content-type"] = true, ["content-length"] = true, ["location"] = true, ["server"] = true,
    ["date"] = true, ["last-modified"] = true, ["etag"] = true, ["content-encoding"] = true,
}

local function set(r, name, value)
    if r.header_sent then
        log.err("attempt to set ngx.header.", name, " after sending out response headers")
        return
    end
    local key, written = name_of(name)
    local resp = r.resp
    if value == nil then
        if key == "content-type" then
            r.default_type = nil
        end
        return resp:remove(key)
    end
    if type(value) == "table" then
        resp:remove(key)
        if SINGLE[key] then
            local last = value[#value]
            return last ~= nil and resp:add(key, written, clean(last)) or nil
        end
        for _, each in ipairs(value) do
            resp:add(key, written, clean(each))
        end
        return
    end
    return resp:set(key, written, clean(value))
end

local header = setmetatable({}, {
    __index = function(_, name)
        local r = request()
        local resp = r.resp
        local key = name_of(name)
        local found, several
        for i = 1, resp.n, 3 do
            if resp[i] == key then
                local value = resp[i + 2]
                if several then
                    several[#several + 1] = value
                elseif found then
                    several = { found, value }
                else
                    found = value
                end
            end
        end
        if not found and key == "content-type" and r.default_type and r.header_sent then
            return r.default_type
        end
        return several or found
    end,
    __newindex = function(_, name, value)
        return set(request(), name, value)
    end,
})

local resp = {}

-- Returns a table of the response's fields (a repeated one is an array), as ngx.req.get_headers does.
function resp.get_headers(max, raw)
    local r = request()
    local fields, err = r.resp:to_table(max, raw)
    fields[raw and "Connection" or "connection"] = r.keepalive and "keep-alive" or "close"
    return fields, err
end

-- Append a field (module ngx.resp: add_header). value: a string or an array of them.
function resp.add_header(name, value)
    local r = request()
    if r.header_sent then
        log.err("attempt to set ngx.header.", name, " after sending out response headers")
        return
    end
    local key, written = name_of(name)
    if SINGLE[key] then
        return set(r, name, value)
    end
    for _, each in ipairs(type(value) == "table" and value or { value }) do
        r.resp:add(key, written, clean(each))
    end
end

return { header = header, resp = resp }
