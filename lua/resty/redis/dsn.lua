-- Owns the reading of "redis://user:password@host:port/db" and "sentinel://user:password@name:role/db", role
-- being m or s (the README of lua-resty-redis-connector). Must never connect.
local match = string.match
local pairs = pairs
local tonumber = tonumber

local ROLES = { m = "master", s = "slave" }

local _M = {}

local function read_address(scheme, name, detail, db)
    if scheme == "redis" and tonumber(detail) then
        return { host = name, port = tonumber(detail), db = tonumber(db) }
    elseif scheme == "sentinel" and not tonumber(detail) then
        return { master_name = name, role = ROLES[detail], db = tonumber(db) }
    end
    return nil
end

local function read(url)
    local scheme, rest = match(url, "^(%l+)://(.*)$")
    if not scheme then
        return nil
    end
    local login, address = match(rest, "^([^@]*)@(.*)$")
    local found = read_address(scheme, match(address or rest, "^([^:/]+):(%w+)/?(.*)$"))
    if found and login then
        local username, password = match(login, "^([^:]*):(.*)$")
        found.username, found.password = username, password or login
    end
    return found
end

-- params with what their url says; what stands beside the url wins. Returns the table, or nil, err.
function _M.parse(params)
    local url = params.url
    if not url or url == "" then
        return params
    end
    local found = read(url)
    if not found then
        return nil, "could not parse DSN" -- which may hold a password
    end
    for name, value in pairs(params) do
        found[name] = value
    end
    return found
end

return _M
