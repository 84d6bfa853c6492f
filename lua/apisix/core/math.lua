-- Owns arithmetic that Lua's math library lacks. Mirrors apisix.core.math.
local _M = {}

-- Greatest common divisor of two non-negative integers; gcd(a, 0) is a.
function _M.gcd(a, b)
    while b ~= 0 do
        a, b = b, a % b
    end
    return a
end

return _M
