-- Owns a compressed prefix tree of byte strings: insert, find, remove, and the deepest key that begins
-- a text. Each costs the length of the text, whatever the number of keys.
-- Must never know what a value is.
--
-- A node keeps its parent, so that a reader climbs from the longest prefix to the shortest with no
-- state of its own: it may be suspended between two steps while the tree changes around it.
local ffi = require "ffi"

local cast = ffi.cast
local byte = string.byte
local sub = string.sub
local min = math.min
local next = next

-- int, so that the result needs no boxing; some other library may have declared it already.
pcall(ffi.cdef, "int memcmp(const void *s1, const void *s2, size_t n);")
local C = ffi.C

local _M = {}

-- An empty tree: its root, the node of the empty key.
function _M.new()
    return { label = "", len = 0 }
end

-- The deepest node whose key begins text. It may hold no value: climb by .parent.
function _M.deepest(root, text)
    local bytes = cast("const uint8_t *", text)
    local size = #text
    local node, pos = root, 0
    while pos < size do
        local children = node.children
        local child = children and children[bytes[pos]]
        if not child then
            return node
        end
        local len = child.len
        if pos + len > size or (len > 1 and C.memcmp(bytes + pos, child.label, len) ~= 0) then
            return node
        end
        node = child
        pos = pos + len
    end
    return node
end

-- Returns the node whose key is text, or nil.
function _M.find(root, text)
    local node = _M.deepest(root, text)
    local len, at = 0, node
    while at do
        len = len + at.len
        at = at.parent
    end
    return len == #text and node or nil
end

local function common_length(a, b, from)
    local limit = min(#a, #b - from)
    local n = 0
    while n < limit and byte(a, n + 1) == byte(b, from + n + 1) do
        n = n + 1
    end
    return n
end

local function adopt(parent, child)
    child.parent = parent
    local children = parent.children
    if not children then
        children = {}
        parent.children = children
    end
    children[byte(child.label)] = child
end

-- Put a new node between child and its parent, holding the first n bytes of child's label.
local function split(child, n)
    local middle = { label = sub(child.label, 1, n), len = n }
    adopt(child.parent, middle)
    child.label = sub(child.label, n + 1)
    child.len = child.len - n
    adopt(middle, child)
    return middle
end

-- Returns the node whose key is text, made if it was not there.
function _M.insert(root, text)
    local node, pos = root, 0
    while pos < #text do
        local child = node.children and node.children[byte(text, pos + 1)]
        if not child then
            child = { label = sub(text, pos + 1), len = #text - pos }
            adopt(node, child)
            return child
        end
        local n = common_length(child.label, text, pos)
        node = n < child.len and split(child, n) or child
        pos = pos + n
    end
    return node
end

local function only_child(node)
    local children = node.children
    if not children then
        return nil
    end
    local first, child = next(children)
    if first and next(children, first) == nil then
        return child
    end
    return nil
end

-- A node that holds no value and branches nowhere is needless: let its child or nobody take its place.
local function tidy(node)
    local parent = node.parent
    if not parent or node.value ~= nil then
        return
    end
    local child = only_child(node)
    if child then
        child.label = node.label .. child.label
        child.len = #child.label
        adopt(parent, child)
    elseif not node.children or next(node.children) == nil then
        parent.children[byte(node.label)] = nil
        return tidy(parent)
    end
end

-- Forget node, whose value has been set to nil, if nothing below needs it.
_M.prune = tidy

return _M
