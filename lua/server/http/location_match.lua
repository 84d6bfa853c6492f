-- Owns the search for the location that a URI belongs to, in nginx's order: an exact one; the longest
-- prefix, then what is nested in it; the regexes in the order in which they stand, unless the prefix is
-- one of "prefer" (^~). Must never know what a location does.
local sub, find = string.sub, string.find
local sort = table.sort
local ipairs, pairs = ipairs, pairs

local _M = {}

-- The proxied locations "/path/" by "/path", to which nginx redirects where nothing else has that path.
local function slashed_of(level)
    local slashed
    for _, locations in ipairs({ level.prefixes, level.exact }) do
        for path, location in pairs(locations) do
            local bare = sub(path, 1, -2)
            if location.proxied and #bare > 0 and sub(path, -1) == "/" and not level.exact[bare]
                and not level.prefixes[bare] then
                slashed = slashed or {}
                slashed[bare] = location
            end
        end
    end
    return slashed
end

-- The level of locations: {exact, prefixes (path -> location), lengths (of the prefixes, the longest first),
-- regexes (array of locations), slashed}. A location has match, path, and level when others are nested in it; one of
-- a regex has regex(uri), which returns its captures or nil.
function _M.level(locations)
    local level = { exact = {}, prefixes = {}, lengths = {}, regexes = {} }
    for _, location in ipairs(locations) do
        local match = location.match
        if match == "exact" then
            level.exact[location.path] = location
        elseif match == "prefix" or match == "prefer" then
            level.prefixes[location.path] = location
        elseif match == "regex" or match == "regex_i" then
            level.regexes[#level.regexes + 1] = location
        end
    end
    local seen = {}
    for path in pairs(level.prefixes) do
        if not seen[#path] then
            seen[#path] = true
            level.lengths[#level.lengths + 1] = #path
        end
    end
    sort(level.lengths, function(a, b)
        return a > b
    end)
    level.slashed = slashed_of(level)
    return level
end

local function longest_prefix(level, uri, i)
    local length = level.lengths[i]
    if not length then
        return nil
    end
    return length <= #uri and level.prefixes[sub(uri, 1, length)] or longest_prefix(level, uri, i + 1)
end

local search

local function search_regexes(level, uri, r, i)
    local location = level.regexes[i]
    if not location then
        return nil
    end
    local captures = location.regex(uri)
    if not captures then
        return search_regexes(level, uri, r, i + 1)
    end
    _M.note_captures(r, captures, location.groups)
    if not location.level then
        return location
    end
    local inner, _, moved = search(location.level, uri, r)
    return inner or location, moved
end

-- Returns the location, whether nothing may take precedence over it, and whether the URI only lacks its
-- slash; or nil.
function search(level, uri, r)
    local exact = level.exact[uri]
    if exact then
        return exact, true
    elseif level.slashed and level.slashed[uri] then
        return level.slashed[uri], true, true
    end
    local prefix = longest_prefix(level, uri, 1)
    local found, final, moved = prefix, false, false
    if prefix and prefix.level then
        local inner
        inner, final, moved = search(prefix.level, uri, r)
        found = inner or prefix
    end
    if final or prefix and prefix.match == "prefer" then
        return found, final, moved
    end
    local by_regex, lacks_slash = search_regexes(level, uri, r, 1)
    if by_regex then
        return by_regex, true, lacks_slash
    end
    return found, false
end

-- The location that uri belongs to, or nil; third: whether the client is to be sent to the location's path,
-- which is uri and a slash. r.captures becomes what the regex captured, when one decided.
_M.find = search

-- The names of a regex's named groups, in an array.
function _M.group_names(pattern)
    local names, from = {}, 1
    while true do
        local _, stop, name = find(pattern, "%(%?P?[<']([%a_][%w_]*)[>']", from)
        if not stop then
            return names
        end
        names[#names + 1] = name
        from = stop + 1
    end
end

-- Keep what a regex captured: r.captures for $1, $2, …; named groups become variables.
function _M.note_captures(r, captures, groups)
    r.captures = captures
    if not groups then
        return
    end
    r.vars = r.vars or {}
    for _, name in ipairs(groups) do
        r.vars[name] = captures[name] or ""
    end
end

return _M
