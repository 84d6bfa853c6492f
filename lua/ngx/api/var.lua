-- Owns ngx.var: nginx's variables of the running request. Source: the ngx_lua documentation, and
-- lua-resty-core, whose words its errors are.
local running = require "ngx.api.running"
local vars = require "server.vars"

local getter, set = vars.getter, vars.set
local error, setmetatable, type = error, setmetatable, type

-- What group n of the last regex captured that decided on a location: $1, $2, …
local function capture(r, n)
    local captures = r.captures
    if not captures or n < 1 then
        return nil
    end
    local text = captures[n - n % 1]
    return text == false and "" or text
end

local var = setmetatable({}, {
    __index = function(_, name)
        local r = running(2)
        if type(name) ~= "string" then
            if type(name) == "number" then
                return capture(r, name)
            end
            error("bad variable name", 2)
        end
        return getter(name)(r)
    end,
    __newindex = function(_, name, value)
        local r = running(2)
        if type(name) ~= "string" then
            error("bad variable name", 2)
        end
        local ok, err = set(r, name, value)
        if not ok then
            error(err, 2)
        end
    end,
})

return { var = var }
