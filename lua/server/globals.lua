-- Owns the guard of global variables: code that makes one while requests run is warned of, as ngx_lua warns.
-- Must never keep anybody from it.
local current = require "server.current"
local errors = require "server.errors"
local log = require "server.log"

local getmetatable, rawset, setmetatable, tostring = getmetatable, rawset, setmetatable, tostring

local WHY = "which may lead to race conditions between concurrent requests, so prefer the use of 'local' variables"

local guard = {}

function guard.__newindex(globals, name, value)
    rawset(globals, name, value)
    if current.request then
        log.warn("[lua] _G write guard:12: __newindex(): writing a global Lua variable ('", tostring(name), "') ", WHY,
            "\n", errors.here(1))
    end
end

-- Put it in force. A metatable that the application has given _G stays.
return function()
    if not getmetatable(_G) then
        setmetatable(_G, guard)
    end
end
