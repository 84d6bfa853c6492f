-- Owns request counting in fixed windows (API of lua-resty-limit-traffic's resty.limit.count, in the form
-- that APISIX 3.18 depends on: with a cost, counting what is consumed). Must never sleep nor touch a request.
local shared = ngx.shared
local assert, setmetatable = assert, setmetatable

-- Plugins compare it: from 1.0.0 on, `cost` is understood.
local _M = { _VERSION = "1.2.0" }
local metatable = { __index = _M }

-- dict_name: a shared dictionary; limit: cost allowed per window; window: seconds, from the first request.
-- Returns the limiter, or nil, "shared dict not found".
function _M.new(dict_name, limit, window)
    local dict = shared[dict_name]
    if not dict then
        return nil, "shared dict not found"
    end
    assert(limit > 0 and window > 0)
    return setmetatable({ dict = dict, limit = limit, window = window }, metatable)
end

-- Count a request. commit: false = only tell what would be; cost: default 1, may be 0 or negative.
-- Returns 0 and the cost consumed in this window, this request included; or nil, "rejected"; or nil, err.
function _M.incoming(self, key, commit, cost)
    cost = cost or 1
    local consumed, err
    if commit then
        consumed, err = self.dict:incr(key, cost, 0, self.window)
        if not consumed then
            return nil, err
        end
    else
        consumed = (self.dict:get(key) or 0) + cost
    end
    if consumed > self.limit then
        return nil, "rejected"
    end
    return 0, consumed
end

-- Take back one committed request. Returns what is consumed now (the limit, when the window is over), or nil, err.
function _M.uncommit(self, key)
    assert(key)
    local consumed, err = self.dict:incr(key, -1)
    if consumed then
        return consumed
    end
    if err == "not found" then
        return self.limit
    end
    return nil, err
end

return _M
