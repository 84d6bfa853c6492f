-- Owns small helpers around configuration items. Must never hold configuration. Mirrors
-- apisix.core.config_util; the clean handlers are those of APISIX up to 3.17.
local floor = math.floor
local ipairs = ipairs
local insert = table.insert
local remove = table.remove
local str_find = string.find
local str_match = string.match
local str_sub = string.sub
local tonumber = tonumber
local tostring = tostring
local type = type

local _M = {}

local function next_value(values, i)
    local value
    repeat
        i = i + 1
        value = values[i]
    until type(value) == "table" or value == nil
    if value == nil then
        return nil
    end
    return i, value
end

-- Iterate over the items of a directory's `values`, past the holes (false) that deletions leave:
-- for i, item in iterate_values(object.values) do
function _M.iterate_values(values)
    return next_value, values, 0
end

local SECONDS = {
    y = 365 * 86400, M = 30 * 86400, w = 7 * 86400, d = 86400, h = 3600, m = 60, s = 1, ms = 0.001,
}

-- One number and its unit (nil when it has none) from position i of s, and the position after them.
local function number_at(s, i)
    local _, stop, digits = str_find(s, "^%s*(%d+)%s*", i)
    if not digits then
        return nil
    end
    local unit = str_match(s, "^ms", stop + 1) or str_match(s, "^[yMwdhms]", stop + 1)
    return tonumber(digits), unit, stop + 1 + #(unit or "")
end

-- "1h30m" -> 5400: seconds of a time written with the units y M w d h m s ms, largest first; a number
-- without one means seconds. A number is returned as it is. Returns nil, err for anything else.
function _M.parse_time_unit(s)
    if type(s) == "number" then
        return s
    end
    if type(s) ~= "string" or s == "" then
        return nil, "invalid data: " .. tostring(s)
    end
    local milliseconds, i, previous = 0, 1, nil
    while not str_find(s, "^%s*$", i) do
        local number, unit, after = number_at(s, i)
        if not number then
            return nil, "invalid data: " .. str_match(s, "%S", i)
        end
        if not unit and previous and previous <= SECONDS.s then
            return nil, "specific unit conflicts with the default unit second"
        end
        local scale = SECONDS[unit or "s"]
        if previous and scale > previous then
            return nil, "unexpected unit: " .. str_sub(unit, 1, 1)
        end
        -- whole milliseconds add up exactly, fractions of a second do not
        milliseconds = milliseconds + number * floor(scale * 1000 + 0.5)
        previous, i = scale, after
    end
    return milliseconds / 1000
end

-- "/apisix/routes/1#plugins" -> "/apisix/routes/1", "plugins"
function _M.parse_path(path)
    return str_match(path, "^[^#]+") or path, str_match(path, "#([^#]*)") or ""
end

-- Have func(item) called when item leaves the configuration or is replaced; not when the worker exits.
-- Returns an id for cancel_clean_handler.
function _M.add_clean_handler(item, func)
    local handlers = item.clean_handlers
    if not handlers then
        handlers = {}
        item.clean_handlers = handlers
    end
    local id = (handlers._id or 0) + 1
    handlers._id = id
    insert(handlers, { f = func, id = id })
    return id
end

-- Forget a clean handler; fire: call it first.
function _M.cancel_clean_handler(item, id, fire)
    for i, handler in ipairs(item.clean_handlers or {}) do
        if handler.id == id then
            remove(item.clean_handlers, i)
            if fire then
                handler.f(item)
            end
            return
        end
    end
end

-- Call the clean handlers of an item, which may be nil, and forget them.
function _M.fire_all_clean_handlers(item)
    local handlers = item and item.clean_handlers
    if not handlers then
        return
    end
    item.clean_handlers = nil
    for _, handler in ipairs(handlers) do
        handler.f(item)
    end
end

return _M
