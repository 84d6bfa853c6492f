-- Owns the index of paths with parameters: a tree by segment, in which a literal and a parameter are two
-- branches. Finding what matches costs the branches that the request's own segments open, not the routes.
-- Must never decide which of the found ones wins.
local find = string.find
local sub = string.sub
local next = next

local _M = {}

function _M.new()
    return { literal = {} }
end

local function is_empty(node)
    return not node.entries and not node.stars and not node.param and next(node.literal) == nil
end

-- Where parsed (see path.lua) ends: its node and the field of its list there. make: build what is missing.
local function locate(root, parsed, make)
    local node = root
    local segments, names = parsed.segments, parsed.names
    for i = 1, parsed.n do
        if i == parsed.star then
            return node, "stars"
        end
        local child
        if names[i] then
            child = node.param
        else
            child = node.literal[segments[i]]
        end
        if not child then
            if not make then
                return nil
            end
            child = { literal = {}, parent = node, name = not names[i] and segments[i] or nil }
            if names[i] then
                node.param = child
            else
                node.literal[segments[i]] = child
            end
        end
        node = child
    end
    return node, "entries"
end

-- The list for parsed, and whom to ask to change it: node[field]. Made when absent.
function _M.place(root, parsed)
    return locate(root, parsed, true)
end

-- Same, but returns nil when nothing was ever put there.
function _M.find(root, parsed)
    return locate(root, parsed, false)
end

-- Forget node and what is above it as far as it is empty.
function _M.prune(node)
    local parent = node.parent
    while parent and is_empty(node) do
        if parent.param == node then
            parent.param = nil
        else
            parent.literal[node.name] = nil
        end
        node, parent = parent, parent.parent
    end
end

local function append(found, list)
    local n = found.n
    for i = 1, #list do
        found[n + i] = list[i]
    end
    found.n = n + #list
end

local function collect(node, text, from, found)
    if node.stars then
        append(found, node.stars)
    end
    local slash = find(text, "/", from, true)
    local segment = sub(text, from, (slash or 0) - 1)
    local literal = node.literal[segment]
    local param = segment ~= "" and node.param or nil
    if slash then
        if literal then
            collect(literal, text, slash + 1, found)
        end
        if param then
            collect(param, text, slash + 1, found)
        end
        return
    end
    if literal and literal.entries then
        append(found, literal.entries)
    end
    if param and param.entries then
        append(found, param.entries)
    end
end

-- Append to found (an array with its size in .n) every entry whose path matches text.
function _M.collect(root, text, found)
    return collect(root, text, 1, found)
end

-- Write into matched what the named segments of parsed stand for in text, which it matches.
function _M.capture(parsed, text, matched)
    local names, star, from = parsed.names, parsed.star, 1
    for i = 1, parsed.n do
        if i == star then
            matched[names[i]] = sub(text, from)
            return
        end
        local slash = find(text, "/", from, true)
        if names[i] then
            matched[names[i]] = sub(text, from, (slash or 0) - 1)
        end
        from = (slash or #text) + 1
    end
end

return _M
