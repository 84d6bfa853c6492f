-- Owns the log lines that are kept for Lua code (ngx.errlog): the last ones that fit into so many bytes.
-- Must never log.
local log = require "server.log"

local HEADER = 16 -- bytes that ngx_lua's ring buffer needs beside each line
local DEBUG = 8
local MIN_SIZE = 4096

-- Lines lie in `size` bytes, one behind the other, and at the end from the start again: what that leaves no
-- room for goes, the oldest first. head, tail: offsets of the oldest line and behind the newest; wrap: where
-- the last line before the end of the bytes ends.
local ring

local _M = {}

local function reset()
    ring.head, ring.tail, ring.wrap, ring.first, ring.last = 0, 0, 0, 1, 0
end

local function count()
    return ring.last - ring.first + 1
end

local function drop()
    local line = ring[ring.first]
    ring[ring.first] = nil
    ring.first = ring.first + 1
    ring.head = ring.head + HEADER + #line.text
    if count() == 0 then
        reset()
    elseif ring.size - ring.head < HEADER or ring.head >= ring.wrap then
        ring.head = 0
    end
    return line
end

local function room()
    if count() == 0 then
        return ring.size
    elseif ring.tail > ring.head then
        return ring.size - ring.tail
    end
    return ring.head - ring.tail
end

local function make_room(needed)
    if room() >= needed then
        return
    elseif ring.size - ring.tail < needed then
        while ring.head >= ring.tail and count() > 0 do
            drop()
        end
        ring.wrap, ring.tail = ring.tail, 0
    end
    while room() < needed do
        drop()
    end
end

local function keep(level, time, text)
    local needed = #text + HEADER
    if level > ring.level or needed > ring.size then
        return
    end
    make_room(needed)
    ring.last = ring.last + 1
    ring[ring.last] = { level = level, time = time, text = text }
    ring.tail = ring.tail + needed
    if ring.tail > ring.wrap then
        ring.wrap = ring.tail
    end
end

-- Begin to keep lines, in `size` bytes (4096 at least).
function _M.start(size)
    if size < MIN_SIZE then
        error('invalid capture error log size "' .. size .. '", minimum size is ' .. MIN_SIZE, 0)
    end
    ring = { size = size, level = DEBUG }
    reset()
    log.capture = keep
end

-- Are lines kept?
function _M.on()
    return ring ~= nil
end

-- Keep no lines above that level from now on.
function _M.set_level(level)
    ring.level = level
end

-- Take out the oldest line: {level, time (seconds), text}, or nil.
function _M.take()
    return count() > 0 and drop() or nil
end

return _M
