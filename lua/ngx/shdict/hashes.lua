-- Owns the hashes of the keys that this Lua VM has used of late: to look one up costs a fifth of making it.
-- Must never hold long keys nor many.
local hash = require "ngx.shdict.hash"
local clear = require "table.clear"

local MOST = 8192                 -- keys
local LONGEST = 64                -- bytes of a key that is remembered

local _M = {}

-- What remembers the hashes by the key (seed0, seed1); returns fields for the region.
function _M.new(seed0, seed1)
    return { by_key = {}, count = 0, seed0 = seed0, seed1 = seed1 }
end

local function make(hashes, key)
    local made = hash(key, hashes.seed0, hashes.seed1)
    if #key <= LONGEST then
        if hashes.count == MOST then
            clear(hashes.by_key)
            hashes.count = 0
        end
        hashes.count = hashes.count + 1
        hashes.by_key[key] = made
    end
    return made
end

-- The hash of a key, a signed 32-bit integer.
function _M.hash_of(region, key)
    local hashes = region.hashes
    return hashes.by_key[key] or make(hashes, key)
end

return _M
