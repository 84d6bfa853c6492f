-- Owns tables of header fields that are found in any case and shown in the case they were first set in.
-- Source: lua-resty-http, resty.http_headers. Must never know HTTP beyond that.
local getmetatable, rawget, rawset, setmetatable = getmetatable, rawget, rawset, setmetatable
local lower = string.lower

local _M = { _VERSION = "0.16.1" }

local function index(headers, name)
    local spelling = getmetatable(headers).spellings[lower(name)]
    return spelling and rawget(headers, spelling)
end

local function newindex(headers, name, value)
    local spellings, key = getmetatable(headers).spellings, lower(name)
    local spelling = spellings[key]
    if not spelling then
        spelling = name
        spellings[key] = name
    end
    rawset(headers, spelling, value)
end

-- An empty table of header fields.
function _M.new()
    return setmetatable({}, { spellings = {}, __index = index, __newindex = newindex })
end

return _M
