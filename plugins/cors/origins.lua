-- Owns the question whether an origin is among those that a configuration names.
local concat = table.concat
local find = ngx.re.find
local gmatch = string.gmatch
local plain_find = string.find
local setmetatable = setmetatable

local _M = {}

local sets = {} -- list, as text -> set of origins; lists are configuration, and few

local function set_of(list)
    local set = sets[list]
    if not set then
        set = {}
        for origin in gmatch(list, "[^,]+") do
            set[origin] = true
        end
        sets[list] = set
    end
    return set
end

-- What a list ("*", "**", one origin, or several with commas) says to an origin (nil: none was sent): an origin or "*";
-- nil when it is not in a list of several.
function _M.by_list(list, origin)
    if list == "**" then
        return origin or "*"
    elseif not plain_find(list, ",", 1, true) then
        return list
    end
    return origin and set_of(list)[origin] and origin or nil
end

local joined = setmetatable({}, { __mode = "k" }) -- array of expressions -> all as one

-- The origin if one of the regular expressions matches it, else nil.
function _M.by_regex(expressions, origin)
    if not origin then
        return nil
    end
    local expression = joined[expressions]
    if not expression then
        expression = concat(expressions, "|")
        joined[expressions] = expression
    end
    return find(origin, expression, "jo") and origin or nil
end

return _M
