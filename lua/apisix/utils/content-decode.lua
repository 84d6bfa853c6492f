-- Owns the decoding of response bodies by their Content-Encoding: gzip by libz, br by libbrotlidec, each
-- loaded at its first use. Mirrors apisix.utils.content-decode.
local ffi = require "ffi"
local buffer = require "string.buffer"

local error = error
local ipairs = ipairs
local pcall = pcall

local CHUNK = 64 * 1024

pcall(ffi.cdef, [[
typedef struct {
    const uint8_t *next_in;   unsigned int avail_in;   unsigned long total_in;
    uint8_t       *next_out;  unsigned int avail_out;  unsigned long total_out;
    const char    *msg;       void *state;
    void          *zalloc;    void *zfree;             void *opaque;
    int           data_type;  unsigned long adler;     unsigned long reserved;
} pygw_z_stream;
const char *zlibVersion(void);
int inflateInit2_(pygw_z_stream *strm, int window_bits, const char *version, int stream_size);
int inflate(pygw_z_stream *strm, int flush);
int inflateReset(pygw_z_stream *strm);
int inflateEnd(pygw_z_stream *strm);

void *BrotliDecoderCreateInstance(void *alloc, void *free, void *opaque);
int BrotliDecoderDecompressStream(void *state, size_t *available_in, const uint8_t **next_in,
    size_t *available_out, uint8_t **next_out, size_t *total_out);
int BrotliDecoderGetErrorCode(const void *state);
const char *BrotliDecoderErrorString(int code);
void BrotliDecoderDestroyInstance(void *state);
]])

local Z_OK, Z_STREAM_END, Z_BUF_ERROR = 0, 1, -5
local GZIP_OR_ZLIB = 15 + 32 -- the largest window, the header tells which of the two
local BROTLI_SUCCESS, BROTLI_NEEDS_OUTPUT = 1, 3

local space = ffi.new("uint8_t[?]", CHUNK)

-- Libraries of the base system lack the unversioned name, which comes with their headers.
local function load(...)
    for _, name in ipairs({ ... }) do
        local ok, library = pcall(ffi.load, name)
        if ok then
            return library
        end
    end
    return nil
end

-- Returns the status of the last inflate(); the text goes to out. A gzip body may have several members.
local function inflate_all(libz, stream, out)
    while true do
        stream.next_out, stream.avail_out = space, CHUNK
        local status = libz.inflate(stream, 0)
        out:putcdata(space, CHUNK - stream.avail_out)
        if status == Z_STREAM_END and stream.avail_in > 0 then
            status = libz.inflateReset(stream)
        end
        if status ~= Z_OK then
            return status
        end
    end
end

-- What is being decoded: a pointer into it does not keep it from the collector.
local held = {} -- luacheck: ignore 241

local function make_gzip()
    local libz = load("libz.so.1", "z")
    if not libz then
        return nil
    end

    return function(data)
        local stream = ffi.new("pygw_z_stream")
        local status = libz.inflateInit2_(stream, GZIP_OR_ZLIB, libz.zlibVersion(), ffi.sizeof(stream))
        if status ~= Z_OK then
            error("inflateInit2 failed: " .. status)
        end
        stream.next_in, stream.avail_in = ffi.cast("const uint8_t *", data), #data
        local out = buffer.new()
        held[1] = data
        status = inflate_all(libz, stream, out)
        held[1] = nil
        local message = stream.msg ~= nil and ffi.string(stream.msg)
        libz.inflateEnd(stream)
        if status == Z_STREAM_END then
            return out:get()
        end
        message = message or status == Z_BUF_ERROR and "unexpected end of data" or "status " .. status
        return nil, "inflate gzip err: " .. message
    end
end

local function make_brotli()
    local library = load("libbrotlidec.so.1", "brotlidec")
    if not library then
        return nil
    end

    local function decode(state, data)
        local next_in = ffi.new("const uint8_t *[1]", ffi.cast("const uint8_t *", data))
        local available_in = ffi.new("size_t[1]", #data)
        local next_out, available_out = ffi.new("uint8_t *[1]"), ffi.new("size_t[1]")
        local out = buffer.new()
        local status
        repeat
            next_out[0], available_out[0] = space, CHUNK
            status = library.BrotliDecoderDecompressStream(
                state, available_in, next_in, available_out, next_out, nil
            )
            out:putcdata(space, CHUNK - tonumber(available_out[0]))
        until status ~= BROTLI_NEEDS_OUTPUT
        return status, out
    end

    return function(data)
        local state = library.BrotliDecoderCreateInstance(nil, nil, nil)
        if state == nil then
            error("BrotliDecoderCreateInstance failed")
        end
        held[1] = data
        local status, out = decode(state, data)
        held[1] = nil
        local code = library.BrotliDecoderGetErrorCode(state)
        library.BrotliDecoderDestroyInstance(state)
        if status == BROTLI_SUCCESS then
            return out:get()
        end
        local message = code < 0 and ffi.string(library.BrotliDecoderErrorString(code))
        return nil, "brotli decode err: " .. (message or "unexpected end of data")
    end
end

local MAKERS = { gzip = make_gzip, br = make_brotli }
local decoders = {}

local _M = {}

-- encoding: a Content-Encoding. Returns function(data) -> text, or nil, err; nil where the encoding is not
-- known or its library is not there.
function _M.dispatch_decoder(encoding)
    local decoder = decoders[encoding]
    if decoder == nil then
        local make = MAKERS[encoding]
        decoder = make and make() or false
        if make then
            decoders[encoding] = decoder
        end
    end
    return decoder or nil
end

return _M
