-- Owns what a process of the kill test does without end: every operation on a shared dictionary, at random.
-- Strings say by their flags what they must look like; one that does not is told of in progress[0].
local ffi = require "ffi"

local random = math.random

local LENGTHS = { 0, 5, 60, 60, 100, 500, 2500, 9000 }
local KEYS = 150

local function value_and_flags()
    local letter, length = random(97, 122), LENGTHS[random(#LENGTHS)]
    return string.char(letter):rep(length), letter * 65536 + length
end

-- Whether a value is what was once put there.
local function is_whole(value, flags)
    if type(value) ~= "string" then
        return value == nil or type(value) == "number" or type(value) == "boolean"
    end
    local letter, length = math.floor(flags / 65536), flags % 65536
    return value == string.char(letter):rep(length)
end

local function is_whole_item(value)
    return type(value) ~= "string" or value == value:sub(1, 1):rep(#value)
end

local function item()
    return random(3) == 1 and random() or (value_and_flags())
end

local actions = {
    function(d, key) return is_whole(d:get(key)) end,
    function(d, key) return is_whole(d:get_stale(key)) end,
    function(d, key)
        local value, flags = value_and_flags()
        return d:set(key, value, random(3) == 1 and 0.01 or 0, flags) ~= nil
    end,
    function(d, key)
        local value, flags = value_and_flags()
        return d:safe_set(key, value, 0, flags) ~= nil
    end,
    function(d, key)
        local value, flags = value_and_flags()
        return d[random(2) == 1 and "add" or "replace"](d, key, value, 0, flags) ~= nil
    end,
    function(d, key) return d:set(key, random(), 0, 0) ~= nil end,
    function(d, key) return d:set(key, random(2) == 1, 0, 0) ~= nil end,
    function(d, key) d:incr(key, 1, 0) return true end,
    function(d, key) return d:delete(key) end,
    function(d, key) d:expire(key, random(2) * 0.01) return true end,
    function(d, key) d:lpush("l" .. key, item()) return true end,
    function(d, key) d:rpush("l" .. key, item()) return true end,
    function(d, key) d:rpush("l" .. key, item()) return true end,
    function(d, key) return is_whole_item((d:lpop("l" .. key))) end,
    function(d, key) return is_whole_item((d:rpop("l" .. key))) end,
    function(d, key) d:expire("l" .. key, 0.01) return true end,
    function(d) return #d:get_keys(10) <= 10 end,
    function(d) if random(30) == 1 then d:flush_expired(random(5)) end return true end,
    function(d) if random(300) == 1 then d:flush_all() end return true end,
}

-- fd: of the dictionary, `size` bytes; progress: address of 32-bit words, of which this process counts its
-- operations in the one at `index`.
return function(fd, size, progress, index, seed)
    local clock = require "server.clock"
    local d = require("ngx.shdict").declare("hammered", size, fd)
    progress = ffi.cast("int32_t *", progress)
    math.randomseed(seed)
    while true do
        local key, which = "key" .. random(KEYS), random(#actions)
        if not actions[which](d, key) then
            progress[0] = which
        end
        progress[index] = progress[index] + 1
        if progress[index] % 64 == 0 then
            clock.update()
        end
    end
end
