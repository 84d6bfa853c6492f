-- Owns the order in which candidates are tried, and lists kept in it. Lists are replaced, never changed:
-- a match that is suspended half-way through one must not notice.
local ipairs = ipairs

local NOTHING = {}

local _M = {}

-- Is a tried before b? See resty/radixtree.lua for the rule.
local function precedes(a, b)
    local a_length, b_length = #a.prefix, #b.prefix
    if a_length ~= b_length then
        return a_length > b_length
    end
    local a_route, b_route = a.route, b.route
    local a_priority, b_priority = a_route.priority or 0, b_route.priority or 0
    if a_priority ~= b_priority then
        return a_priority > b_priority
    end
    if #a.path ~= #b.path then
        return #a.path > #b.path
    end
    local a_order, b_order = a_route.order or 0, b_route.order or 0
    if a_order ~= b_order then
        return a_order < b_order
    end
    return a.seq < b.seq
end

-- A list with entry in its place. list: an ordered list or nil.
function _M.with(list, entry)
    local copy, n, placed = {}, 0, false
    for _, other in ipairs(list or NOTHING) do
        if not placed and precedes(entry, other) then
            n, placed = n + 1, true
            copy[n] = entry
        end
        n = n + 1
        copy[n] = other
    end
    if not placed then
        copy[n + 1] = entry
    end
    return copy
end

local function is_of(entry, route)
    return entry.route == route or (route.id ~= nil and entry.route.id == route.id)
end

-- A list without the first entry of route, known by table or by id; nil when nothing is left.
-- Second value: was it there?
function _M.without(list, route)
    local copy, n, found = {}, 0, false
    for _, entry in ipairs(list or NOTHING) do
        if not found and is_of(entry, route) then
            found = true
        else
            n = n + 1
            copy[n] = entry
        end
    end
    return n > 0 and copy or nil, found
end

-- Sort found[1..found.n] in place. Few entries, nearly in order: by insertion.
function _M.sort(found)
    for i = 2, found.n do
        local entry, j = found[i], i - 1
        while j > 0 and precedes(entry, found[j]) do
            found[j + 1] = found[j]
            j = j - 1
        end
        found[j + 1] = entry
    end
end

return _M
