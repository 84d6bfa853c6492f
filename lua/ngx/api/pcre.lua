-- Owns PCRE2 through FFI: compiling patterns and running them. One match data serves all patterns, so
-- the offsets of a match must be read before anything that could match again (the user's Lua code).
local ffi = require "ffi"
local errors = require "ngx.api.pcre_errors"
local log = require "server.log"

local error = error
local ffi_cast = ffi.cast
local ffi_gc = ffi.gc
local ffi_string = ffi.string
local pcall = pcall
local sub = string.sub
local tonumber = tonumber

ffi.cdef [[
void *pcre2_compile_8(const char *pattern, size_t length, uint32_t options, int *errorcode,
    size_t *erroroffset, void *context);
void pcre2_code_free_8(void *code);
void *pcre2_compile_context_create_8(void *context);
int pcre2_set_compile_extra_options_8(void *context, uint32_t options);
int pcre2_get_error_message_8(int errorcode, unsigned char *buffer, size_t length);
int pcre2_pattern_info_8(const void *code, uint32_t what, void *where);
int pcre2_jit_compile_8(void *code, uint32_t options);
int pcre2_match_8(const void *code, const char *subject, size_t length, size_t start,
    uint32_t options, void *data, void *context);
int pcre2_dfa_match_8(const void *code, const char *subject, size_t length, size_t start,
    uint32_t options, void *data, void *context, int *workspace, size_t count);
void *pcre2_match_data_create_8(uint32_t pairs, void *context);
size_t *pcre2_get_ovector_pointer_8(void *data);
void *pcre2_match_context_create_8(void *context);
int pcre2_set_match_limit_8(void *context, uint32_t limit);
void *pcre2_jit_stack_create_8(size_t start, size_t max, void *context);
void pcre2_jit_stack_free_8(void *stack);
void pcre2_jit_stack_assign_8(void *context, void *callback, void *stack);
]]

local function load()
    local loaded, lib = pcall(ffi.load, "libpcre2-8.so.0")
    if not loaded then
        loaded, lib = pcall(ffi.load, "pcre2-8")
    end
    if not loaded then
        error("ngx.re needs PCRE2 (Debian package libpcre2-8-0): " .. lib, 0)
    end
    return lib
end

local lib = load()

local INFO_CAPTURECOUNT, INFO_NAMECOUNT, INFO_NAMEENTRYSIZE, INFO_NAMETABLE = 4, 17, 18, 19
local JIT_COMPLETE = 1
local BAD_ESCAPE_IS_LITERAL = 2
local UNKNOWN_ESCAPE, BAD_RANGE = 103, 150
local MAX_PAIRS = 65535  -- as many captures as a pattern can have; untouched memory costs nothing
local DFA_WORKSPACE = 100 -- ints; as ngx_lua has it
local MIN_JIT_STACK = 32768
local DEFAULT_MATCH_LIMIT = 10000000

local lenient = lib.pcre2_compile_context_create_8(nil)
lib.pcre2_set_compile_extra_options_8(lenient, BAD_ESCAPE_IS_LITERAL)
local context = lib.pcre2_match_context_create_8(nil)
local data = lib.pcre2_match_data_create_8(MAX_PAIRS, nil)
local dfa_data = lib.pcre2_match_data_create_8(1, nil)
local workspace = ffi.new("int[?]", DFA_WORKSPACE)

-- Offsets are size_t, but never beyond 2 GB: reading their low halves gives plain Lua numbers, and -1
-- for a group that did not take part. Both supported machines are little-endian.
local function low_halves(match_data)
    return ffi_cast("int32_t *", lib.pcre2_get_ovector_pointer_8(match_data))
end

local ovector = low_halves(data)
local dfa_ovector = low_halves(dfa_data)
local error_code = ffi.new("int[1]")
local error_offset = ffi.new("size_t[1]")
local info = ffi.new("uint32_t[1]")
local info_pointer = ffi.new("uint8_t *[1]")

local _M = {}

-- Offsets of the last match: group n begins at offsets[4 * n] and ends before offsets[4 * n + 2],
-- counted from 0; -1 if the group did not take part.
_M.offsets = ovector

local function number_of(code, what)
    lib.pcre2_pattern_info_8(code, what, info)
    return info[0]
end

-- An array {group, name, group, name, …} in the order of the names, and the count of names.
local function names_of(code)
    local count = number_of(code, INFO_NAMECOUNT)
    local names = {}
    if count > 0 then
        local size = number_of(code, INFO_NAMEENTRYSIZE)
        lib.pcre2_pattern_info_8(code, INFO_NAMETABLE, info_pointer)
        for i = 0, count - 1 do
            local entry = info_pointer[0] + i * size
            names[2 * i + 1] = entry[0] * 256 + entry[1]
            names[2 * i + 2] = ffi_string(entry + 2)
        end
    end
    return names, count
end

local function compile_error(pattern)
    local code = error_code[0]
    local text = errors.compile_texts[code]
    if not text then
        local buffer = ffi.new("unsigned char[256]")
        lib.pcre2_get_error_message_8(code, buffer, 256)
        text = ffi_string(buffer)
    end
    return errors.compile(text, pattern, tonumber(error_offset[0]))
end

local function try(pattern, options, compile_context)
    local code = lib.pcre2_compile_8(pattern, #pattern, options, error_code, error_offset, compile_context)
    return code ~= nil and code or nil
end

-- PCRE2 refuses two things that PCRE, for which the regexes of ngx_lua were written, took literally: an
-- escaped letter without a meaning, and the hyphen in "[\w-.]". Compile them as PCRE did.
local function try_as_pcre(pattern, options)
    local compile_context = error_code[0] == UNKNOWN_ESCAPE and lenient or nil
    local code = compile_context and try(pattern, options, compile_context)
    while not code and error_code[0] == BAD_RANGE do
        local at = tonumber(error_offset[0])
        if sub(pattern, at + 1, at + 1) ~= "-" then
            return nil
        end
        pattern = sub(pattern, 1, at) .. "\\" .. sub(pattern, at + 1)
        code = try(pattern, options, compile_context)
    end
    return code
end

-- Compile a pattern. options: PCRE2's bits; use_jit: also to machine code where that is possible.
-- Returns {code, groups, names, name_count}, or nil and the error.
function _M.compile(pattern, options, use_jit)
    local code = try(pattern, options, nil)
    if not code then
        local err = compile_error(pattern)
        code = try_as_pcre(pattern, options)
        if not code then
            return nil, err
        end
    end
    if use_jit then
        local done = lib.pcre2_jit_compile_8(code, JIT_COMPLETE) == 0
        log.debug("pcre JIT compiling result: ", done and 1 or 0)
    end
    local names, name_count = names_of(code)
    return {
        code = ffi_gc(code, lib.pcre2_code_free_8),
        groups = number_of(code, INFO_CAPTURECOUNT),
        names = names,
        name_count = name_count,
    }
end

-- Free a compiled pattern now. It must never be used again.
function _M.free(compiled)
    local code = compiled.code
    compiled.code = nil
    lib.pcre2_code_free_8(ffi_gc(code, nil))
end

-- Run a compiled pattern from byte `start` (from 0) of the subject. Returns the number of groups set,
-- counting the whole match, 0 if the pattern has more groups than fit, or PCRE2's negative error.
function _M.match(code, subject, start, options)
    return lib.pcre2_match_8(code, subject, #subject, start, options, data, context)
end

-- The same with the DFA matcher: the longest match, without groups.
function _M.dfa_match(code, subject, start, options)
    local rc = lib.pcre2_dfa_match_8(code, subject, #subject, start, options, dfa_data, context,
        workspace, DFA_WORKSPACE)
    if rc < 0 then
        return rc
    end
    ovector[0], ovector[2] = dfa_ovector[0], dfa_ovector[2]
    return 1
end

-- How many steps a match may take before it fails (lua_regex_match_limit); 0: PCRE2's default.
function _M.set_match_limit(limit)
    lib.pcre2_set_match_limit_8(context, limit > 0 and limit or DEFAULT_MATCH_LIMIT)
end

local jit_stack

-- The stack that JIT-compiled patterns run on, at most `size` bytes. Returns true, or nil and the error.
function _M.set_jit_stack(size)
    size = size > MIN_JIT_STACK and size or MIN_JIT_STACK
    local stack = lib.pcre2_jit_stack_create_8(MIN_JIT_STACK, size, nil)
    if stack == nil then
        return nil, "pcre jit stack allocation failed"
    end
    lib.pcre2_jit_stack_assign_8(context, nil, stack)
    if jit_stack then
        lib.pcre2_jit_stack_free_8(jit_stack)
    end
    jit_stack = stack
    return true
end

return _M
