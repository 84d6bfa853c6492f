-- Owns ngx.var: nginx's variables of the running request.
local current = require "server.current"
local vars = require "server.vars"

local getter, set = vars.getter, vars.set
local error, type, tostring = error, type, tostring

local function request()
    local r = current.request
    if not r or not r.method then
        error(r and "API disabled in the current context" or "no request found", 3)
    end
    return r
end

local var = setmetatable({}, {
    __index = function(_, name)
        local r = request()
        if type(name) ~= "string" then
            if type(name) == "number" then
                return r.captures and r.captures[name] or nil
            end
            error("bad variable name", 2)
        end
        return getter(name)(r)
    end,
    __newindex = function(_, name, value)
        local r = request()
        if not set(r, name, value) then
            if vars.built_in(name) then
                error('variable "' .. name .. '" not changeable', 2)
            end
            error('variable "' .. tostring(name) .. '" not found for writing; maybe it is a built-in variable '
                .. 'that is not changeable or you forgot to use "set $' .. tostring(name)
                .. " '';\" in the config file to define it first", 2)
        end
    end,
})

return { var = var }
