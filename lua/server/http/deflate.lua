-- Owns gzip by zlib: one encoder makes one stream of what comes piece by piece. Must never know of requests.
local ffi = require "ffi"
local buffer = require "string.buffer"

local cast, gc, sizeof = ffi.cast, ffi.gc, ffi.sizeof
local floor, max = math.floor, math.max
local format = string.format
local setmetatable, tonumber = setmetatable, tonumber

ffi.cdef [[
typedef struct {
    const uint8_t *next_in; unsigned int avail_in; unsigned long total_in;
    uint8_t *next_out; unsigned int avail_out; unsigned long total_out;
    const char *msg; void *state; void *zalloc; void *zfree; void *opaque;
    int data_type; unsigned long adler; unsigned long reserved;
} pygw_deflate;
const char *pygw_zlib_version(void) __asm__("zlibVersion");
int pygw_deflate_init(pygw_deflate *stream, int level, int method, int window_bits, int memory, int strategy,
    const char *version, int size) __asm__("deflateInit2_");
int pygw_deflate_run(pygw_deflate *stream, int flush) __asm__("deflate");
int pygw_deflate_end(pygw_deflate *stream) __asm__("deflateEnd");
]]

local libz = ffi.load("libz.so.1")

local NO_FLUSH, SYNC_FLUSH, FINISH = 0, 2, 4
local DEFLATED, DEFAULT_STRATEGY, AS_GZIP = 8, 0, 16
local WINDOW_BITS, MEMORY_LEVEL = 15, 8
local OUT_SIZE = 4096 -- bytes that are gathered before they go out

local Encoder = {}
Encoder.__index = Encoder

local _M = {}

-- Window (its logarithm) and memory level for a body of `length` bytes (nil: unknown), as nginx has them.
local function sizes_for(length, level)
    local bits, memory = WINDOW_BITS, MEMORY_LEVEL
    while length and bits > 9 and length < 2 ^ (bits - 1) - 262 do
        bits, memory = bits - 1, memory - 1
    end
    return level == 1 and max(bits, 13) or bits, max(memory, 1)
end

-- An encoder of `level` (1 to 9) for a body of `length` bytes (nil: unknown). Its `streams` tells whether the length
-- is unknown. When it has ended, into.ratio is how many times smaller the body became: nginx's $gzip_ratio.
function _M.new(level, length, into)
    local bits, memory = sizes_for(length, level)
    local stream = ffi.new("pygw_deflate")
    if libz.pygw_deflate_init(stream, level, DEFLATED, bits + AS_GZIP, memory, DEFAULT_STRATEGY,
        libz.pygw_zlib_version(), sizeof(stream)) ~= 0 then
        error("deflateInit2() failed: no memory")
    end
    return setmetatable({
        stream = gc(stream, libz.pygw_deflate_end), out = buffer.new(), into = into, ended = false,
        streams = length == nil,
    }, Encoder)
end

-- Have zlib take all of its input.
local function run(self, mode)
    local stream, out = self.stream, self.out
    repeat
        local place = out:reserve(OUT_SIZE)
        stream.next_out, stream.avail_out = place, OUT_SIZE
        libz.pygw_deflate_run(stream, mode)
        out:commit(OUT_SIZE - stream.avail_out)
    until stream.avail_out > 0
end

local function ratio(stream)
    local came, went = tonumber(stream.total_in), tonumber(stream.total_out)
    return format("%.2f", floor(came * 100 / went + 0.5) / 100)
end

-- Encode a piece; last: the stream ends with it. Returns the bytes that are ready, often none.
function Encoder:put(piece, last)
    if self.ended then
        return ""
    end
    local stream = self.stream
    stream.next_in, stream.avail_in = cast("const uint8_t *", piece), #piece
    self.held = piece -- a pointer into it does not keep it from the collector
    run(self, last and FINISH or NO_FLUSH)
    stream.next_in, self.held = nil, nil
    if last then
        self.ended, self.into.ratio = true, ratio(stream)
        libz.pygw_deflate_end(gc(stream, nil))
    elseif #self.out < OUT_SIZE then
        return ""
    end
    return self.out:get()
end

-- The bytes for all that has come so far, so that the other end can read it.
function Encoder:flush()
    if self.ended then
        return ""
    end
    run(self, SYNC_FLUSH)
    return self.out:get()
end

return _M
