-- Owns the ring of consistent hashing: where a node's points lie and which is next. Must know no API.
--
-- A node has 160 points for each unit of its weight. Its first lies at the CRC-32 of its id and four zero bytes, each
-- further one at that of the id and the last point, its lowest byte first: the ring of lua-resty-balancer and of
-- nginx's hash directive, so that a key comes to the same node in all three.
local bit = require "bit"
local ffi = require "ffi"

local band, bnot, bxor, rshift, tobit = bit.band, bit.bnot, bit.bxor, bit.rshift, bit.tobit
local crc32 = ngx.crc32_short
local floor = math.floor
local pairs = pairs
local sort = table.sort
local tostring = tostring

local POINTS = 160
local RANGE = 2 ^ 32
local PLACES = 2 ^ 20 -- nodes in a ring at most: place and hash share a double, which sorts fast
local POLYNOMIAL = 0xedb88320

local _M = { PER_WEIGHT = POINTS }

local steps = ffi.new("int32_t[256]")
for byte = 0, 255 do
    local crc = byte
    for _ = 1, 8 do
        crc = band(crc, 1) == 1 and bxor(rshift(crc, 1), POLYNOMIAL) or rshift(crc, 1)
    end
    steps[byte] = crc
end

-- The CRC-32 goes on over the four bytes of word.
local function go_on(crc, word)
    for _ = 1, 4 do
        crc = bxor(steps[band(bxor(crc, word), 255)], rshift(crc, 8))
        word = rshift(word, 8)
    end
    return bnot(crc)
end

-- Add the points of the id at `place` to list.
local function add(list, id, place, weight)
    local base, hash, count = bnot(tobit(crc32(tostring(id)))), 0, #list
    for i = 1, weight * POINTS do
        hash = go_on(base, hash)
        list[count + i] = (hash % RANGE) * PLACES + place
    end
end

-- ids: place -> id; nodes: id -> weight. Returns a ring: hashes and places (arrays from 0) and size.
function _M.ring(ids, nodes)
    local list = {}
    for place, id in pairs(ids) do
        add(list, id, place, nodes[id])
    end
    sort(list)
    local size = #list
    local hashes, places = ffi.new("uint32_t[?]", size), ffi.new("uint32_t[?]", size)
    for i = 1, size do
        hashes[i - 1], places[i - 1] = floor(list[i] / PLACES), list[i] % PLACES
    end
    return { hashes = hashes, places = places, size = size }
end

-- The index of the first point at or behind hash; the first of all when there is none. Not for an empty ring.
function _M.behind(ring, hash)
    local hashes, size = ring.hashes, ring.size
    local i = floor(hash / (RANGE / size)) -- points are spread evenly: it is near
    if i > size - 1 then
        i = size - 1
    end
    while i > 0 and hashes[i - 1] >= hash do
        i = i - 1
    end
    while i < size and hashes[i] < hash do
        i = i + 1
    end
    return i < size and i or 0
end

return _M
