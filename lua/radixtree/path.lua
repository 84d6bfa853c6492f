-- Owns the reading of a route's path: is it exact, a prefix, a row of segments, or does it need a
-- regular expression. Must never know of routes or of their conditions.
--
--   /a/b            exact
--   /a*  /a/*  /a/*rest   prefix; what follows is captured as ":ext" or "rest" when the star begins a segment
--   /a/:id/b  /a/:id/*rest   segments
--   /a/*x/b  /a/:id/b?       regex: lua-resty-radixtree reads the literal segments of a path with
--                            parameters as PCRE, and some routes count on it (a "." stands for itself here)
local find = string.find
local sub = string.sub
local byte = string.byte
local concat = table.concat

local COLON, STAR = byte(":"), byte("*")
local EXT = ":ext"

local _M = {}

local function split(path)
    local segments, n, from = {}, 0, 1
    while true do
        local slash = find(path, "/", from, true)
        n = n + 1
        segments[n] = sub(path, from, (slash or 0) - 1)
        if not slash then
            return segments, n
        end
        from = slash + 1
    end
end

local function star_name(segment)
    local name = sub(segment, 2)
    return name == "" and EXT or name
end

-- A prefix that captures what follows it when the star begins the last segment.
local function prefix(path, star)
    local parsed = { kind = "prefix", prefix = sub(path, 1, star - 1) }
    if (star == 1 or byte(path, star - 1) == 47) and not find(path, "/", star, true) then
        parsed.capture = star_name(sub(path, star))
    end
    return parsed
end

-- Does any segment begin with a mark? Without one, nothing after the prefix is looked at.
local function has_names(segments, n)
    for i = 1, n do
        local first = byte(segments[i])
        if first == COLON or first == STAR then
            return true
        end
    end
    return false
end

local function is_irregular(segments, n)
    for i = 1, n do
        local segment = segments[i]
        local first = byte(segment)
        if first == STAR and i < n then
            return true
        end
        if first ~= COLON and first ~= STAR and find(segment, "[%?%+%(%)%[%]{}|^$\\*]") then
            return true
        end
    end
    return false
end

local function to_regex(parsed, segments, n)
    local names = {}
    for i = 1, n do
        local segment = segments[i]
        local first = byte(segment)
        if first == COLON then
            names[#names + 1] = sub(segment, 2)
            segments[i] = "([^/]+)"
        elseif first == STAR then
            names[#names + 1] = star_name(segment)
            segments[i] = "((?:.|\\n)*)"
        end
    end
    parsed.kind = "regex"
    parsed.regex = concat(segments, "/")
    parsed.names = names
    return parsed
end

local function to_segments(parsed, segments, n)
    local names = {}
    for i = 1, n do
        local segment = segments[i]
        local first = byte(segment)
        if first == COLON then
            names[i] = sub(segment, 2)
        elseif first == STAR then
            names[i] = star_name(segment)
            parsed.star = i
        end
    end
    parsed.kind = "segments"
    parsed.segments, parsed.n, parsed.names = segments, n, names
    return parsed
end

-- Read one path. literal_colons: ":" has no meaning (the option no_param_match).
-- Returns {kind, prefix, …}; prefix is what precedes the first mark:
--   "exact"; "prefix" with capture (a name or nil);
--   "segments" with segments[1..n], names[i] of those that capture, star (index of the last, or nil);
--   "regex" with regex and names in order of capture.
function _M.parse(path, literal_colons)
    local star = find(path, "*", 1, true)
    local colon = not literal_colons and find(path, ":", 1, true) or nil
    if not colon then
        if not star then
            return { kind = "exact", prefix = path }
        end
        if not find(path, "/", star, true) then
            return prefix(path, star)
        end
    end
    local parsed = { prefix = sub(path, 1, (colon or star) - 1) }
    local segments, n = split(path)
    if not has_names(segments, n) then
        parsed.kind = "prefix"
        return parsed
    end
    if is_irregular(segments, n) then
        return to_regex(parsed, segments, n)
    end
    return to_segments(parsed, segments, n)
end

return _M
