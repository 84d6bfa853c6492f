-- Owns the name jit.v, which specifications of lua-resty-core load: LuaJIT's own file comes with LuaJIT alone.
-- Must never log anything: what the compiler makes of a function that is written in another way here says nothing.
local _M = {}

-- Begin to log, in LuaJIT's module.
function _M.on()
    return true
end

return _M
