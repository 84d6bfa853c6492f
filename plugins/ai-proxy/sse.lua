-- Owns server-sent events: cutting a stream into them, reading one. Source: the HTML standard, "Server-sent events".
-- Must never know what an event means.
local find, gmatch, match, sub = string.find, string.gmatch, string.match, string.sub
local concat = table.concat

local LONGEST = 1024 * 1024 -- bytes of an event

local _M = {}

-- One event: {type ("message"), data}; nil when the text holds comments only.
local function read(text)
    local kind, data, seen = "message", {}, false
    for line in gmatch(text, "[^\n]+") do
        local name, value = match(line, "^([^:]+):? ?(.-)\r?$")
        if name then
            seen = true
            if name == "data" then
                data[#data + 1] = value
            elseif name == "event" then
                kind = value
            end
        end
    end
    return seen and { type = kind, data = concat(data, "\n") } or nil
end

-- Cut what has come so far. Returns an array of events, and the beginning of the next one.
function _M.cut(buffer)
    local events, from = {}, 1
    while true do
        local start, stop = find(buffer, "\r?\n\r?\n", from)
        if not start then
            break
        end
        events[#events + 1] = read(sub(buffer, from, start - 1))
        from = stop + 1
    end
    local rest = sub(buffer, from)
    return events, #rest <= LONGEST and rest or ""
end

return _M
