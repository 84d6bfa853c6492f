-- Owns the part of ngx.req that is about the request's fields. Source: the ngx_lua documentation, and
-- lua-resty-core, whose words its errors are.
local conditional = require "server.http.conditional"
local headers = require "server.http.headers"
local request_body = require "server.http.request_body"
local running = require "ngx.api.running"

local clean, clean_name, lower = headers.clean, headers.clean_name, headers.lower
local error, ipairs, tonumber, tostring, type = error, ipairs, tonumber, tostring, type
local find, gsub, lower_text, match = string.find, string.gsub, string.lower, string.match

local _M = {}

-- Returns a table of the request's fields (a repeated one is an array), with case-insensitive look-up
-- unless raw; "truncated" second when there were more than max (100; 0: no limit).
function _M.get_headers(max, raw)
    return running(2).headers:to_table(max, raw)
end

-- The host in a Host field, as ngx_lua takes it apart; nil when it is none.
local function host_name(value)
    if find(value, "..", 1, true) or find(value, "/", 1, true) then
        return nil
    end
    local host = match(value, "^%[[^%]]*%]") or match(value, "^[^:]*")
    host = gsub(host, "%.$", "")
    return host ~= "" and lower_text(host) or nil
end

-- What a field means beyond its text. value: nil when it is removed. Returns nil when it cannot be that.
local effects = {}

function effects.host(r, value)
    local host = value and host_name(value)
    if value and not host then
        return nil
    end
    r.host, r.host_header = host, value
    return true
end

effects["content-length"] = function(r, value)
    if value and not find(value, "^%d+$") then
        return nil
    end
    request_body.set_length(r, tonumber(value))
    return true
end

for _, key in ipairs(conditional.FIELDS) do
    effects[key] = function(r)
        r.conditional = true
        return true
    end
end

local function set_one(r, key, name, value, override, level)
    local effect = effects[key]
    if effect and not effect(r, value ~= "" and value or nil) then
        error("failed to set header", level + 1)
    elseif value == "" and override then
        return r.headers:remove(key)
    elseif override then
        return r.headers:set(key, name, value)
    end
    return r.headers:add(key, name, value)
end

local function set_each(r, key, name, values, override, level)
    for i = 1, #values do
        local value = values[i]
        if type(value) ~= "string" then
            value = tostring(value)
            values[i] = value
        end
        set_one(r, key, name, clean(value), override and i == 1, level + 1)
    end
end

-- Set or, unless override, append the field. level: of the caller to blame.
local function set(name, value, override, level)
    local r = running(level + 1)
    if name == nil then
        error("bad 'name' argument: string expected, got nil", level + 1)
    elseif value == nil and not override then
        error("bad 'value' argument: string or table expected, got nil", level + 1)
    end
    name = clean_name(name)
    local key = lower(name)
    r.headers_changed = true
    if type(value) ~= "table" then
        set_one(r, key, name, value == nil and "" or clean(value), override, level + 1)
    elseif #value > 0 then
        set_each(r, key, name, value, override, level + 1)
    elseif not override then
        error("bad 'value' argument: non-empty table expected", level + 1)
    else
        set_one(r, key, name, "", true, level + 1)
    end
end

-- value: a string, an array of them (each replaced by its text), or nil (or "") to remove the field.
function _M.set_header(name, value)
    set(name, value, true, 2)
end

function _M.clear_header(name)
    set(tostring(name), nil, true, 2)
end

-- Append a field beside those of its name (module ngx.req of lua-resty-core).
function _M.add_header(name, value)
    set(name, value, false, 2)
end

return _M
