-- Owns the span of requests that are not traced: it takes everything and keeps nothing. Mirrors apisix.utils.noop_span.
local setmetatable = setmetatable

local _M = {}
local mt = { __index = _M }

local function nothing() end

-- One serves all requests.
function _M.new()
    return setmetatable({}, mt)
end

_M.set_status = nothing
_M.set_attributes = nothing
_M.finish = nothing
_M.release = nothing

return _M
