-- Owns brotli compression under the names of lua-brotli, which APISIX's plugin of that name requires: libbrotlienc by
-- FFI. Raises where that library is not installed.
local ffi = require "ffi"
local buffer = require "string.buffer"

local cast, gc, new = ffi.cast, ffi.gc, ffi.new
local error, ipairs, pcall, setmetatable, type = error, ipairs, pcall, setmetatable, type

ffi.cdef [[
typedef struct pygw_brotli pygw_brotli;
pygw_brotli *pygw_brotli_new(void *alloc, void *free, void *opaque) __asm__("BrotliEncoderCreateInstance");
void pygw_brotli_free(pygw_brotli *state) __asm__("BrotliEncoderDestroyInstance");
int pygw_brotli_set(pygw_brotli *state, int parameter, uint32_t value) __asm__("BrotliEncoderSetParameter");
int pygw_brotli_run(pygw_brotli *state, int operation, size_t *in_left, const uint8_t **in, size_t *out_left,
    uint8_t **out, size_t *total) __asm__("BrotliEncoderCompressStream");
int pygw_brotli_has_more(pygw_brotli *state) __asm__("BrotliEncoderHasMoreOutput");
const uint8_t *pygw_brotli_take(pygw_brotli *state, size_t *size) __asm__("BrotliEncoderTakeOutput");
]]

local found, library = pcall(ffi.load, "libbrotlienc.so.1")
if not found then
    error("libbrotlienc is not installed: " .. library, 0)
end

local PROCESS, FLUSH, FINISH = 0, 1, 2
local PARAMETERS = { "mode", "quality", "lgwin", "lgblock" } -- their numbers are 0, 1, …

local Compressor = {}
Compressor.__index = Compressor

local _M = { compressor = Compressor }

local in_left, input = new("size_t[1]"), new("const uint8_t *[1]")
local out_left, size = new("size_t[1]"), new("size_t[1]")
local out = buffer.new(4096) -- filled and emptied without a wait in between, so one is enough

-- A compressor of one stream. options: {mode (0: any, 1: text, 2: fonts), quality (0 to 11), lgwin, lgblock}, nil:
-- brotli's own defaults. Returns it, or nil when there is no memory or a value is refused.
function Compressor:new(options)
    local state = library.pygw_brotli_new(nil, nil, nil)
    if state == nil then
        return nil
    end
    gc(state, library.pygw_brotli_free)
    for number, name in ipairs(PARAMETERS) do
        local value = options and options[name]
        if value and library.pygw_brotli_set(state, number - 1, value) == 0 then
            return nil
        end
    end
    return setmetatable({ state = state }, self)
end

local function run(self, operation, text)
    local state = self.state
    in_left[0], input[0] = #text, cast("const uint8_t *", text)
    self.held = text -- a pointer into it does not keep it from the collector
    out:reset()
    repeat
        out_left[0] = 0
        if library.pygw_brotli_run(state, operation, in_left, input, out_left, nil, nil) == 0 then
            error("brotli failed to compress", 3)
        end
        size[0] = 0
        local bytes = library.pygw_brotli_take(state, size)
        out:putcdata(bytes, size[0])
    until in_left[0] == 0 and library.pygw_brotli_has_more(state) == 0
    self.held = nil
    return out:get()
end

-- Take a piece of text. Returns the bytes that are ready, often none.
function Compressor:compress(text)
    if type(text) ~= "string" then
        error("a string expected, got " .. type(text), 2)
    end
    return run(self, PROCESS, text)
end

-- The bytes for all that has come so far, so that the other end can read it.
function Compressor:flush()
    return run(self, FLUSH, "")
end

-- The end of the stream.
function Compressor:finish()
    return run(self, FINISH, "")
end

return _M
