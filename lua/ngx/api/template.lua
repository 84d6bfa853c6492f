-- Owns the replacement templates of ngx.re.sub and gsub: "$1", "${1}" and "$$" (ngx_lua README). It
-- only takes them apart; must never see a subject.
local find = string.find
local format = string.format
local match = string.match
local sub = string.sub
local tonumber = tonumber

local MAX_CACHED = 1024

local cache, cached = {}, 0

local INVALID = 'lua script: invalid capturing variable name found in "%s"'
local UNCLOSED = 'the closing bracket in "%s" variable is missing'
local NAMED = 'attempt to use named capturing variable "%s" (named captures not supported yet)'

-- The group that the "$" before `at` refers to and the place behind it, or nil and the reason.
local function read_variable(text, at)
    local bracket = sub(text, at, at) == "{"
    local from = bracket and at + 1 or at
    local digits = match(text, "^%d+", from)
    local name = digits or match(text, "^[%w_]*", from)
    local behind = from + #name
    if bracket and from <= #text then
        if sub(text, behind, behind) ~= "}" then
            return nil, format(UNCLOSED, name)
        end
        behind = behind + 1
    end
    if name == "" then
        return nil, format(INVALID, text)
    elseif not digits then
        return nil, format(NAMED, name)
    end
    return tonumber(digits), behind
end

local function parse(text)
    local template = { literals = {}, groups = {} }
    local n, literal, at = 0, "", 1
    while true do
        local dollar = find(text, "$", at, true)
        if not dollar then
            template.literals[n + 1] = literal .. sub(text, at)
            template.n = n
            return template
        end
        literal = literal .. sub(text, at, dollar - 1)
        if sub(text, dollar + 1, dollar + 1) == "$" then
            literal, at = literal .. "$", dollar + 2
        else
            local group, behind = read_variable(text, dollar + 1)
            if not group then
                return nil, behind
            end
            n = n + 1
            template.literals[n], template.groups[n] = literal, group
            literal, at = "", behind
        end
    end
end

local _M = {}

-- Take a template apart: {n, groups, literals}, to be put together as literals[1], group groups[1],
-- literals[2], …, group groups[n], literals[n + 1]. nil and the reason if it is malformed.
function _M.compile(text)
    local template = cache[text]
    if template then
        return template
    end
    local reason
    template, reason = parse(text)
    if not template then
        return nil, reason
    end
    if cached >= MAX_CACHED then
        cache, cached = {}, 0
    end
    cache[text] = template
    cached = cached + 1
    return template
end

return _M
