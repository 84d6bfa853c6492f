-- Owns the entering of an `if` block: the request goes on with the block's own handlers and settings.
local current = require "server.current"

local _M = {}

local entered -- the level that the script that runs has entered; scripts never wait

function _M.reset()
    entered = nil
end

-- The level that the last script has entered, or nil.
function _M.entered()
    return entered
end

-- Let the request that runs be one of that level, which is a named location of its server.
function _M.enter(conf)
    local r = current.request
    local location = r.server.named[conf.path]
    entered = conf
    if r.location ~= r.server.outer then
        r.location, r.settings, r.default_type = location, location.settings, location.default_type
    end
end

return _M
