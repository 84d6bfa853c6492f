-- Owns texts with variables, $name and ${name}; "\$name" stays as it is, backslash and all. A text is taken apart once.
local byte = string.byte
local concat = table.concat
local find = string.find
local match = string.match
local sub = string.sub

local MAX_REMEMBERED = 100

local _M = {
    -- What such a text consists of, for a schema.
    PATTERN = [[(\\\$[0-9a-zA-Z_]+)|\$\{([0-9a-zA-Z_]+)\}|\$([0-9a-zA-Z_]+)|(\$|[^$\\]+)]],
}

local remembered, count = {}, 0

-- An array of texts and, at even places, names of variables.
local function take_apart(text)
    local parts, literal, at = {}, "", 1
    while at <= #text do
        local name, after = match(text, "^%${([%w_]+)}()", at)
        if not name then
            name, after = match(text, "^%$([%w_]+)()", at)
        end
        if name then
            parts[#parts + 1], parts[#parts + 2] = literal, name
            literal, at = "", after
        else
            local next_at = (find(text, "$", at + 1, true) or #text + 1)
            if byte(text, next_at - 1) == byte("\\") and next_at <= #text then
                next_at = find(text, "$", next_at + 1, true) or #text + 1
            end
            literal, at = literal .. sub(text, at, next_at - 1), next_at
        end
    end
    parts[#parts + 1] = literal
    return parts
end

local function parts_of(text)
    local parts = remembered[text]
    if not parts then
        if count == MAX_REMEMBERED then
            remembered, count = {}, 0
        end
        parts = take_apart(text)
        remembered[text], count = parts, count + 1
    end
    return parts
end

-- The text with the values that var has; a variable without one is empty.
function _M.render(text, var)
    local parts, made = parts_of(text), {}
    for i = 1, #parts do
        made[i] = i % 2 == 1 and parts[i] or var[parts[i]] or ""
    end
    return concat(made)
end

return _M
