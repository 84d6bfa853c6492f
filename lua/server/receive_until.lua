-- Owns the search for a pattern in a stream of bytes that comes in pieces: what stands before it is handed out as
-- it comes; what may be its beginning is held back. One pass (Knuth, Morris, Pratt), no byte is looked at twice.
local ffi = require "ffi"

local C = ffi.C
local ffi_string = ffi.string
local byte, sub = string.byte, string.sub
local huge = math.huge
local setmetatable = setmetatable

local Matcher = {}
Matcher.__index = Matcher

local _M = {}

-- For each count of matched bytes, how many stay matched when the next byte does not fit.
local function fallbacks(pattern)
    local fallback = { [0] = 0, 0 }
    local k = 0
    for i = 2, #pattern do
        while k > 0 and byte(pattern, i) ~= byte(pattern, k + 1) do
            k = fallback[k]
        end
        if byte(pattern, i) == byte(pattern, k + 1) then
            k = k + 1
        end
        fallback[i] = k
    end
    return fallback
end

-- A search for pattern (not empty). inclusive: hand the pattern out too.
function _M.new(pattern, inclusive)
    return setmetatable({
        pattern = pattern, bytes = ffi.cast("const uint8_t *", pattern), length = #pattern, inclusive = inclusive,
        fallback = fallbacks(pattern),
        held = 0, -- how many bytes of the pattern have been seen, and not been handed out
        parts = nil, rest = 0, -- what is to be handed out now, and how much more of it may be
    }, Matcher)
end

-- Begin to collect. size: bytes to hand out at most (a little more where the pattern is like itself), nil: no bound.
function Matcher:begin(size)
    self.parts = {}
    self.rest = size or huge
    self.bounded = size ~= nil
end

local function add(self, text)
    self.parts[#self.parts + 1] = text
    self.rest = self.rest - #text
end

-- Skip what cannot begin the pattern: returns the first place in p[i, n) that can, or n.
local function skip(self, p, i, n)
    local found = C.pygw_memchr(p + i, self.bytes[0], n - i)
    if found == nil then
        return n
    end
    return found - p
end

-- Byte p[i] did not fit after `held` bytes of the pattern. Hands out those that are no beginning of it now, and
-- returns how many bytes are held, and where to go on.
local function fall_back(self, byte_here, held, i)
    local k = self.fallback[held]
    while k > 0 and self.bytes[k] ~= byte_here do
        k = self.fallback[k]
    end
    if self.bytes[k] ~= byte_here or k == 0 then
        add(self, sub(self.pattern, 1, held))
        return 0, i
    end
    add(self, sub(self.pattern, 1, held - k))
    return k + 1, i + 1
end

-- Look at the n bytes at p. Returns how many of them are done with, and whether the collecting is over: "found",
-- "full", or nil (more bytes are needed).
function Matcher:feed(p, n)
    local i, held, length, bytes = 0, self.held, self.length, self.bytes
    while i < n do
        if held == 0 then
            local stop = skip(self, p, i, n)
            if stop > i then
                if stop - i > self.rest then
                    stop = i + self.rest
                end
                add(self, ffi_string(p + i, stop - i))
                i = stop
                if self.rest == 0 then
                    self.held = 0
                    return i, "full"
                end
            end
        end
        if i < n then
            if p[i] == bytes[held] then
                held = held + 1
                i = i + 1
                if held == length then
                    self.held = 0
                    if self.inclusive then
                        add(self, self.pattern)
                    end
                    return i, "found"
                end
            else
                held, i = fall_back(self, p[i], held, i)
                if self.rest <= 0 then
                    self.held = held
                    return i, "full"
                end
            end
        end
    end
    self.held = held
    return i
end

-- Give up what is held back: returns it, to be read by somebody else.
function Matcher:release()
    local held = sub(self.pattern, 1, self.held)
    self.held = 0
    return held
end

return _M
