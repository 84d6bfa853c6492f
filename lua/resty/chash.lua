-- Owns consistent hashing over nodes (API of lua-resty-balancer's resty.chash); the ring stands in chash/points.lua.
-- Must never change the table of nodes that it was given.
local points = require "resty.chash.points"

local behind, ring_of = points.behind, points.ring
local crc32 = ngx.crc32_short
local pairs, setmetatable, tonumber, tostring = pairs, setmetatable, tonumber, tostring

local _M = {}
local metatable = { __index = _M }

local function place_of(self, id)
    for place, known in pairs(self.ids) do
        if known == id then
            return place
        end
    end
end

local function rebuild(self)
    self.ring = ring_of(self.ids, self.nodes)
end

-- Begin with these nodes, {id = weight}.
function _M.reinit(self, nodes)
    local ids, copy, count = {}, {}, 0
    for id, weight in pairs(nodes) do
        count = count + 1
        ids[count], copy[id] = id, weight
    end
    self.ids, self.nodes, self.places = ids, copy, count
    rebuild(self)
end

-- nodes: {id = weight}, weights whole numbers.
function _M.new(_, nodes)
    local self = setmetatable({}, metatable)
    _M.reinit(self, nodes)
    return self
end

-- Take a node out; an unknown id is ignored.
function _M.delete(self, id)
    if not self.nodes[id] then
        return
    end
    self.ids[place_of(self, id)], self.nodes[id] = nil, nil
    rebuild(self)
end

-- Add to a node's weight (default 1); a new id is taken in.
function _M.incr(self, id, weight)
    if not self.nodes[id] then
        self.places = self.places + 1
        self.ids[self.places] = id
    end
    self.nodes[id] = (self.nodes[id] or 0) + (tonumber(weight) or 1)
    rebuild(self)
end

-- Take from a node's weight (default 1); at 0 it goes. An unknown id is ignored.
function _M.decr(self, id, weight)
    local old = self.nodes[id]
    if not old then
        return
    end
    weight = tonumber(weight) or 1
    if old <= weight then
        return _M.delete(self, id)
    end
    self.nodes[id] = old - weight
    rebuild(self)
end

-- Give a node a weight; 0 or none takes it out. Returns true when it had that weight.
function _M.set(self, id, weight)
    weight = tonumber(weight) or 0
    local old = self.nodes[id] or 0
    if old == weight then
        return true
    elseif old < weight then
        return _M.incr(self, id, weight - old)
    end
    return _M.decr(self, id, old - weight)
end

-- The id that key (shown by tostring) belongs to, and the index of its point, for next(). nil when nothing has weight.
function _M.find(self, key)
    local ring = self.ring
    if ring.size == 0 then
        return nil
    end
    local i = behind(ring, crc32(tostring(key)))
    return self.ids[ring.places[i]], i
end

-- The id of the point behind that of index, and its index; maybe the same id once more.
function _M.next(self, index)
    local ring = self.ring
    if ring.size == 0 then
        return nil
    end
    index = (index + 1) % ring.size
    return self.ids[ring.places[index]], index
end

return _M
