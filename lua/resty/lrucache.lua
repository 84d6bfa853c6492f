-- Owns the cache of Lua values of one worker, evicting the least recently used (API of lua-resty-lrucache).
-- Must never be shared between workers nor copy the values it holds.
--
-- Nodes stand in a ring around a sentinel: ring.next is the most recently used one, ring.prev the least.
local clear = require "table.clear"
local clock = require "server.clock"

local floor = math.floor
local now = clock.now
local setmetatable, type = setmetatable, type

local FLAGS_RANGE = 2 ^ 32
local NEVER = -1

local _M = { _VERSION = "0.15" }
local metatable = { __index = _M }

-- A cache for at most `size` items. Returns nil, "size too small" for less than one.
function _M.new(size)
    if size < 1 then
        return nil, "size too small"
    end
    local ring = {}
    ring.prev, ring.next = ring, ring
    return setmetatable({ nodes = {}, ring = ring, num_items = 0, max_items = floor(size) }, metatable)
end

local function unlink(node)
    node.prev.next, node.next.prev = node.next, node.prev
end

local function put_first(ring, node)
    local first = ring.next
    node.prev, node.next = ring, first
    first.prev, ring.next = node, node
end

local function touch(ring, node)
    if ring.next ~= node then
        unlink(node)
        put_first(ring, node)
    end
end

-- The node to hold a new key: a new one, or when full the least recently used one.
local function claim_node(self, key)
    local node
    if self.num_items >= self.max_items then
        node = self.ring.prev
        self.nodes[node.key] = nil
        unlink(node)
    else
        node = {}
        self.num_items = self.num_items + 1
    end
    node.key = key
    self.nodes[key] = node
    put_first(self.ring, node)
    return node
end

-- Returns value, nil, flags; when expired nil, stale value, flags; nil when absent.
function _M.get(self, key)
    local node = self.nodes[key]
    if not node then
        return nil
    end
    local value = node.value
    if value == nil then
        return nil
    end
    touch(self.ring, node)
    local expire = node.expire
    if expire >= 0 and expire < now() then
        return nil, value, node.flags
    end
    return value, nil, node.flags
end

-- ttl: seconds, nil = for ever; flags: number >= 0 kept with the value (32 bits), else 0.
function _M.set(self, key, value, ttl, flags)
    local node = self.nodes[key]
    if node then
        touch(self.ring, node)
    else
        node = claim_node(self, key)
    end
    node.value = value
    node.expire = ttl and now() + ttl or NEVER
    node.flags = type(flags) == "number" and flags >= 0 and floor(flags) % FLAGS_RANGE or 0
end

-- Returns whether the key was there.
function _M.delete(self, key)
    local node = self.nodes[key]
    if not node then
        return false
    end
    self.nodes[key] = nil
    unlink(node)
    self.num_items = self.num_items - 1
    return true
end

-- The number of items, expired ones included.
function _M.count(self)
    return self.num_items
end

-- The number of items that fit.
function _M.capacity(self)
    return self.max_items
end

-- The keys, most recently used first, at most max_count (nil, 0 = all), into `res` if given; what `res`
-- held before is cut off by a nil after the last key.
function _M.get_keys(self, max_count, res)
    if not max_count or max_count == 0 then
        max_count = self.num_items
    end
    res = res or {}
    local ring, count = self.ring, 0
    local node = ring.next
    while node ~= ring and count < max_count do
        count = count + 1
        res[count] = node.key
        node = node.next
    end
    res[count + 1] = nil
    return res
end

-- Forget everything.
function _M.flush_all(self)
    clear(self.nodes)
    local ring = self.ring
    ring.prev, ring.next = ring, ring
    self.num_items = 0
end

return _M
