-- Owns the values that stand for what Lua has no type for: JSON null, the empty array, "this table is an array".
-- They are the same objects in every instance of the codec, as in OpenResty. Must never hold settings.
local buffer = require "string.buffer"

local _M = {}

-- LuaJIT's serialisation is the only way from Lua to a light userdata: tag 3 is NULL, tag 4 is 32 bits of address.
-- A real NULL prints as "userdata: NULL" and equals every other NULL: ngx.null, or one that a C module returns.
_M.null = buffer.decode("\3")
_M.empty_array = buffer.decode("\4\1\0\0\0")
_M.empty_array_mt = {}
_M.array_mt = {}

return _M
