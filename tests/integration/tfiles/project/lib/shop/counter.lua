-- What blocks require: a counter in a shared dictionary.
local _M = {}

function _M.count(name)
    local count = ngx.shared.counts:incr(name, 1, 0)
    return count
end

return _M
