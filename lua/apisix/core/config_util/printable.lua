-- Owns what the log shows of an item that is refused: all of it, unless it may hold what is nobody's to read. Part of
-- apisix.core.config_util.
local data_encryption = require "apisix.core.data_encryption"
local json = require "apisix.core.json"

local find = string.find

local HIDDEN = "(not shown, it may hold secrets)"

-- key, value: of the item. Returns what a log call takes.
return function(key, value)
    -- with a keyring, the checkers have decrypted what was encrypted
    if find(key, "/secrets/", 1, true) or find(key, "/ssls/", 1, true) or data_encryption.has_keyring() then
        return HIDDEN
    end
    return json.delay_encode(value, true)
end
