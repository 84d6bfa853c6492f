-- Owns what plugins find of /plugin_metadata while the Admin API has a configuration checked. The checker has no store:
-- it notes who was asked for, and whoever called it comes again with what the store has of them.
local _M = {}

local known = {} -- plugin's name -> its metadata
local asked = {} -- an array of names

-- What apisix.plugin's plugin_metadatas is here.
function _M:get(name)
    asked[#asked + 1] = name
    local value = known[name]
    return value and { value = value }
end

-- Check with what is known of the metadata (nil: nothing): name -> value.
function _M.begin(metadata)
    known, asked = metadata or {}, {}
end

-- The names that were asked for since.
function _M.asked()
    return asked
end

return _M
