-- Owns the reading and setting of single response fields: ngx.header, and add_header of the module ngx.resp.
-- Source: the ngx_lua documentation, and lua-resty-core, whose words its errors are.
local civil = require "ngx.api.civil"
local headers = require "server.http.headers"
local log = require "server.log"
local running = require "ngx.api.running"

local clean, clean_name, lower = headers.clean, headers.clean_name, headers.lower
local error, ipairs, setmetatable, tostring, type = error, ipairs, setmetatable, tostring, type
local find, gsub = string.find, string.gsub

local _M = {}

local KEPT_MAX = 1000
local keys, names, kept = {}, {}, 0 -- by what the application wrote

-- Returns the lower-cased key and the name to write: "_" stands for "-", unless the settings say otherwise.
local function name_of(r, given)
    if not r.settings.transform_underscores_in_response_headers then
        local name = clean_name(given)
        return lower(name), name
    end
    local key = keys[given]
    if not key then
        local name = gsub(clean_name(given), "_", "-")
        key = lower(name)
        if kept == KEPT_MAX then
            return key, name
        end
        kept = kept + 1
        keys[given], names[given] = key, name
    end
    return key, names[given]
end

-- Fields that stand in a response once, under the name that was written last.
local SINGLE = {}
for _, key in ipairs({
    "server", "date", "content-encoding", "location", "refresh", "last-modified", "content-range",
    "accept-ranges", "expires", "etag", "content-length", "content-type",
}) do
    SINGLE[key] = true
end

-- value: "" removes the field. level: of the caller to blame.
local function set_one(r, key, name, value, override, level)
    local resp = r.resp
    if value == "" then
        if key == "content-type" then
            r.default_type = nil
        elseif key == "date" or key == "server" then
            return resp:set(key, name, "") -- else the server would write its own
        end
        return (override or SINGLE[key]) and resp:remove(key)
    elseif SINGLE[key] then
        if key == "content-length" and not find(value, "^%d+$") then
            error("failed to set header", level + 1)
        end
        return resp:set(key, name, value, true)
    elseif override then
        return resp:set(key, name, value)
    end
    return resp:add(key, name, value)
end

-- Set or, unless override, append the field; value: text, an array of it, or nil to remove the field.
local function set(given, value, override, level)
    local r = running(level + 1)
    if value == nil and not override then
        error("invalid header value", level + 1)
    elseif r.header_sent then
        return log.err("attempt to set ngx.header.HEADER after sending out response headers")
    end
    local key, name = name_of(r, given)
    if type(value) ~= "table" then
        set_one(r, key, name, value == nil and "" or clean(value), override, level + 1)
        return
    end
    for i = 1, #value do
        local text = value[i]
        if type(text) ~= "string" then
            text = tostring(text)
            value[i] = text
        end
        set_one(r, key, name, clean(text), override and i == 1, level + 1)
    end
    if #value == 0 and override then
        set_one(r, key, name, "", true, level + 1)
    end
end

-- The type that the server gives a response without one is known once the header filter runs.
function _M.content_type(r)
    return r.resp:get("content-type") or (r.header_sent or r.phase == "header_filter") and r.default_type or nil
end

local function last_modified(r)
    local value = r.resp:get("last-modified")
    local seconds = value and civil.parse(value)
    return seconds and civil.http(seconds)
end

_M.header = setmetatable({}, {
    __index = function(_, given)
        local r = running(2)
        local key = name_of(r, given)
        if key == "content-type" then
            return _M.content_type(r)
        elseif key == "last-modified" then
            return last_modified(r)
        end
        local resp = r.resp
        local found, several
        for i = 1, resp.n, 3 do
            if resp[i] == key and resp[i + 2] ~= "" then
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
        return several or found
    end,
    __newindex = function(_, given, value)
        set(given, value, true, 2)
    end,
})

-- Append a field. value: text or an array of it.
function _M.add_header(given, value)
    set(given, value, false, 2)
end

return _M
