-- Owns the environment of this process, and values that a configuration takes from it by "$env://NAME".
-- Mirrors apisix.core.env.
local json = require "apisix.core.json"
local log = require "apisix.core.log"

local find = string.find
local getenv = os.getenv
local sub = string.sub
local type = type
local upper = string.upper

local PREFIX = "$ENV://"

local _M = { PREFIX = PREFIX }

-- Values are read from the environment itself at each use; APISIX calls this at start, for a snapshot
-- that nginx's env directive makes necessary there.
function _M.init() end

-- Returns the value of the variable name, or nil.
function _M.get(name)
    return getenv(name)
end

local function parse_uri(uri)
    if type(uri) ~= "string" then
        return nil, "error env_uri type: " .. type(uri)
    end
    if upper(sub(uri, 1, #PREFIX)) ~= PREFIX then
        return nil, "error env_uri prefix: " .. uri
    end
    local path = sub(uri, #PREFIX + 1)
    local slash = find(path, "/", 1, true)
    if not slash then
        return path, ""
    end
    return sub(path, 1, slash - 1), sub(path, slash + 1)
end

-- uri: "$env://NAME", or "$env://NAME/key" for one key of a variable that holds a JSON object.
-- Returns the value, nil where there is none, or nil, err.
function _M.fetch_by_uri(uri)
    log.info("fetching data from env uri: ", uri)
    local name, key = parse_uri(uri)
    if not name then
        return nil, key
    end

    local value = _M.get(name)
    if not value or key == "" then
        return value
    end
    local object, err = json.decode(value)
    if type(object) ~= "table" then
        return nil, "decode failed, err: " .. (err or "not an object")
    end
    return object[key]
end

return _M
