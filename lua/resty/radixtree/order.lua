-- Owns the order in which candidates are tried, and lists kept in it. Lists are replaced, never changed:
-- a match that is suspended half-way through one must not notice.
local ipairs = ipairs

local NOTHING = {}

local _M = {}

-- Is a tried before b? See resty/radixtree.lua for the rule.
local function precedes(a, b)
    if a.prefix_len ~= b.prefix_len then
        return a.prefix_len > b.prefix_len
    end
    if a.priority ~= b.priority then
        return a.priority > b.priority
    end
    if a.size ~= b.size then
        return a.size > b.size
    end
    if a.order ~= b.order then
        return a.order < b.order
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

-- A list without the first entry of route, known by table or by id; nil when nothing is left.
-- Second value: was it there?
function _M.without(list, route)
    local copy, n, found = {}, 0, false
    for _, entry in ipairs(list or NOTHING) do
        if not found and (entry.route == route or (route.id ~= nil and entry.id == route.id)) then
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
