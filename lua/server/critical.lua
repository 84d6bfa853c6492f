-- Owns the knowledge whether Lua code of this VM is inside something that must be brought to an end (an operation
-- on a shared dictionary). An error in there leaves it unended; who runs code to its end or its next wait looks
-- at `depth` after it, and settles what is left. Must never know what it is that is ended.
local ffi = require "ffi"

local _M = {
    depth = ffi.new("int32_t[1]"), -- how many are under way; in between, when nothing runs, what errors have left
}

local endings = {}

-- Have fn() called when something has been left unended.
function _M.on_unended(fn)
    endings[#endings + 1] = fn
end

-- End what has been left. To be called when no Lua code of this VM is under way, if depth[0] is not 0.
function _M.settle()
    _M.depth[0] = 0
    for i = 1, #endings do
        endings[i]()
    end
end

return _M
