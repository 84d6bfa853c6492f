-- Owns weighted round robin over nodes (API of lua-resty-balancer's resty.roundrobin).
-- Must never change the table of nodes that it was given.
--
-- The scheduling is that of LVS: nodes are walked in a ring with a threshold `cw` that starts at the
-- greatest weight and falls, by the greatest common divisor, once per walk; who weighs that much is next.
local error, pairs, setmetatable, tonumber = error, pairs, setmetatable, tonumber
local random = math.random
local remove = table.remove

local _M = {}
local metatable = { __index = _M }

local function greatest_common_divisor(a, b)
    while b ~= 0 do
        a, b = b, a % b
    end
    return a
end

-- Compute anew what follows from the weights.
local function weigh(self)
    local weights = self.weights
    if #weights == 0 then
        error("empty nodes", 3)
    end
    local gcd, greatest = 0, 0
    for i = 1, #weights do
        gcd = greatest_common_divisor(gcd, weights[i])
        greatest = weights[i] > greatest and weights[i] or greatest
    end
    self.gcd, self.max_weight = gcd, greatest
    if not self.cw or self.cw > greatest then
        self.cw = greatest
    end
end

local function index_of(self, id)
    local ids = self.ids
    for i = 1, #ids do
        if ids[i] == id then
            return i
        end
    end
end

-- Begin with these nodes, {id = weight}, at a random one, so that workers do not march in step.
function _M.reinit(self, nodes)
    local ids, weights = {}, {}
    for id, weight in pairs(nodes) do
        ids[#ids + 1], weights[#weights + 1] = id, weight
    end
    self.ids, self.weights, self.cw = ids, weights, nil
    weigh(self)
    self.at = random(#ids)
end

-- nodes: {id = weight}, weights whole numbers. Raises "empty nodes" when there are none.
function _M.new(_, nodes)
    local self = setmetatable({}, metatable)
    _M.reinit(self, nodes)
    return self
end

-- The next id. Never fails: new and delete refuse an empty set.
function _M.find(self)
    local ids, weights, at, cw = self.ids, self.weights, self.at, self.cw
    local count = #ids
    if count == 1 then
        return ids[1]
    end
    while true do
        for i = at + 1, count do
            if weights[i] >= cw then
                self.at, self.cw = i, cw
                return ids[i]
            end
        end
        at, cw = 0, cw - self.gcd
        if cw <= 0 then
            cw = self.max_weight
        end
    end
end
_M.next = _M.find

-- Take a node out. Raises "empty nodes" when it was the last one.
function _M.delete(self, id)
    local i = index_of(self, id)
    if i then
        remove(self.ids, i)
        remove(self.weights, i)
        if i <= self.at then
            self.at = self.at - 1
        end
    end
    weigh(self)
end

-- Add to a node's weight (default 1); a new id is taken in.
function _M.incr(self, id, weight)
    local i = index_of(self, id)
    weight = tonumber(weight) or 1
    if i then
        self.weights[i] = self.weights[i] + weight
    else
        self.ids[#self.ids + 1], self.weights[#self.weights + 1] = id, weight
    end
    weigh(self)
end

-- Take from a node's weight (default 1); at 0 it goes. An unknown id is ignored.
function _M.decr(self, id, weight)
    local i = index_of(self, id)
    if not i then
        return
    end
    weight = tonumber(weight) or 1
    if self.weights[i] <= weight then
        return _M.delete(self, id)
    end
    self.weights[i] = self.weights[i] - weight
    weigh(self)
end

-- Give a node a weight; 0 or none takes it out.
function _M.set(self, id, weight)
    weight = tonumber(weight) or 0
    local i = index_of(self, id)
    local old = i and self.weights[i] or 0
    if old < weight then
        _M.incr(self, id, weight - old)
    elseif old > weight then
        _M.decr(self, id, old - weight)
    end
end

return _M
