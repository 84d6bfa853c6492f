-- Owns values with variables in them ("$scheme://$host"): compiled once to functions of a request.
local vars = require "server.vars"

local find, sub, match = string.find, string.sub, string.match
local concat = table.concat

local _M = {}

-- Returns a function(r) -> string, or nil when text is one variable without a value.
function _M.compile(text)
    local whole = match(text, "^%$([%w_]+)$") or match(text, "^%${([%w_]+)}$")
    if whole then
        return vars.getter(whole)
    end
    local parts, n, pos = {}, 0, 1
    while true do
        local start, stop, name = find(text, "%$([%w_]+)", pos)
        local start_b, stop_b, name_b = find(text, "%${([%w_]+)}", pos)
        if start_b and (not start or start_b < start) then
            start, stop, name = start_b, stop_b, name_b
        end
        if not start then
            break
        end
        if start > pos then
            n = n + 1
            parts[n] = sub(text, pos, start - 1)
        end
        n = n + 1
        parts[n] = vars.getter(name)
        pos = stop + 1
    end
    if pos <= #text then
        n = n + 1
        parts[n] = sub(text, pos)
    end
    if n == 0 or (n == 1 and type(parts[1]) == "string") then
        return function()
            return text
        end
    end
    return function(r)
        local values = {}
        for i = 1, n do
            local part = parts[i]
            if type(part) == "function" then
                part = part(r) or ""
            end
            values[i] = part
        end
        return concat(values)
    end
end

return _M
