-- Owns the responses that proxy-cache keeps in a shared dictionary: tables, as JSON.
local core = require "apisix.core"

local ngx = ngx
local setmetatable = setmetatable

local NO_ZONE = "invalid cache_zone provided"

local Memory = {}
Memory.__index = Memory

local _M = {}

-- opts: {shdict_name}.
function _M.new(opts)
    return setmetatable({ dict = ngx.shared[opts.shdict_name] }, Memory)
end

-- Keep a table for ttl seconds. Returns its JSON, or nil and why not.
function Memory:set(key, object, ttl)
    if not self.dict then
        return nil, NO_ZONE
    end
    local text = core.json.encode(object)
    if not text then
        return nil, "could not encode object"
    end
    local ok, err = self.dict:set(key, text, ttl)
    return ok and text or nil, err
end

-- Returns the table; or nil and "not found", "expired" or an error text.
function Memory:get(key)
    if not self.dict then
        return nil, NO_ZONE
    end
    local text, err, stale = self.dict:get_stale(key)
    if not text then
        return nil, err or "not found"
    elseif stale then
        return nil, "expired"
    end
    return core.json.decode(text)
end

-- As get(), but one that has expired too, while it is still there.
function Memory:get_stale(key)
    if not self.dict then
        return nil, NO_ZONE
    end
    local text, err = self.dict:get_stale(key)
    if not text then
        return nil, err or "not found"
    end
    return core.json.decode(text)
end

function Memory:purge(key)
    if not self.dict then
        return nil, NO_ZONE
    end
    self.dict:delete(key)
end

return _M
