-- Owns what a host is in a request: a name or an address in brackets, and a port (RFC 9112, section 3.2).
local find, lower, match, sub = string.find, string.lower, string.match, string.sub

local NAME = "^[%w%-%._~!%$&'%(%)%*%+,;=%%]*$"

-- Returns the host lower-cased without its port, or nil when it is invalid.
local function check_host(value)
    local name, port = match(value, "^(%[[%x:%.]+%])(.*)$")
    if not name then
        name, port = match(value, "^([^:]*)(.*)$")
        if not find(name, NAME) then
            return nil
        end
    end
    if port ~= "" and not find(port, "^:%d*$") then
        return nil
    end
    if sub(name, -1) == "." then -- the root's dot says nothing
        name = sub(name, 1, -2)
    end
    if name == "" or find(name, "..", 1, true) then
        return nil
    end
    return lower(name)
end

-- Host values are few on a worker: remember their check. Bounded, they come from outside.
local hosts, hosts_n = {}, 0

-- The host of a Host field or an absolute target, lower-cased and without its port; nil when it is invalid.
return function(value)
    local known = hosts[value]
    if known ~= nil then
        return known or nil
    end
    known = check_host(value)
    if hosts_n < 1000 then
        hosts_n = hosts_n + 1
        hosts[value] = known or false
    end
    return known
end
