-- Owns the two operations on a lock word that LuaJIT has no instruction for, as machine code: a function
-- in a C library that does the same costs more than all the rest of an operation on a dictionary.
-- Must never know what is locked. What differs between processors stands here and nowhere else.
local ffi = require "ffi"
local map = require("ngx.shdict.mapping").map

ffi.cdef [[
int pygw_shdict_protect(void *address, size_t length, int protection) __asm__("mprotect");
]]

local PAGE = 4096
local READ, EXEC = 1, 4
local RELEASE_AT = 128            -- of the page

-- acquire(word, mine, patience): when the word is 0 make it `mine` in one step; when not, look again after 1, 2,
-- 4, … pauses, `patience` of them at most: who comes back less often leaves the other one its cache.
-- release(word, value): store it after everything stored before.
local CODE = {
    x64 = {
        acquire = {
            0xb9, 0x01, 0x00, 0x00, 0x00,               --        mov ecx, 1
            0x31, 0xc0,                                 -- again: xor eax, eax
            0xf0, 0x0f, 0xb1, 0x37,                     --        lock cmpxchg [rdi], esi
            0x75, 0x01,                                 --        jne taken
            0xc3,                                       --        ret
            0x41, 0x89, 0xc8,                           -- taken: mov r8d, ecx
            0xf3, 0x90,                                 -- wait:  pause
            0x41, 0xff, 0xc8,                           --        dec r8d
            0x75, 0xf9,                                 --        jne wait
            0x01, 0xc9,                                 --        add ecx, ecx
            0x8b, 0x07,                                 --        mov eax, [rdi]
            0x85, 0xc0,                                 --        test eax, eax
            0x74, 0xe5,                                 --        je again
            0x39, 0xd1,                                 --        cmp ecx, edx
            0x7e, 0xea,                                 --        jle taken
            0xc3,                                       --        ret
        },
        release = {
            0x89, 0x37,                                 --        mov [rdi], esi
            0xc3,                                       --        ret
        },
    },
    arm64 = {
        acquire = {
            0x25, 0x00, 0x80, 0x52,                     --        mov w5, #1
            0x03, 0xfc, 0x5f, 0x88,                     -- again: ldaxr w3, [x0]
            0xa3, 0x00, 0x00, 0x35,                     --        cbnz w3, taken
            0x01, 0x7c, 0x04, 0x88,                     --        stxr w4, w1, [x0]
            0xa4, 0xff, 0xff, 0x35,                     --        cbnz w4, again
            0x00, 0x00, 0x80, 0x52,                     --        mov w0, #0
            0xc0, 0x03, 0x5f, 0xd6,                     --        ret
            0xe6, 0x03, 0x05, 0x2a,                     -- taken: mov w6, w5
            0x3f, 0x20, 0x03, 0xd5,                     -- wait:  yield
            0xc6, 0x04, 0x00, 0x71,                     --        subs w6, w6, #1
            0xc1, 0xff, 0xff, 0x54,                     --        b.ne wait
            0xa5, 0x78, 0x1f, 0x53,                     --        lsl w5, w5, #1
            0x03, 0x00, 0x40, 0xb9,                     --        ldr w3, [x0]
            0x83, 0xfe, 0xff, 0x34,                     --        cbz w3, again
            0xbf, 0x00, 0x02, 0x6b,                     --        cmp w5, w2
            0x0d, 0xff, 0xff, 0x54,                     --        b.le taken
            0xe0, 0x03, 0x03, 0x2a,                     --        mov w0, w3
            0xc0, 0x03, 0x5f, 0xd6,                     --        ret
        },
        release = {
            0x01, 0xfc, 0x9f, 0x88,                     --        stlr w1, [x0]
            0xc0, 0x03, 0x5f, 0xd6,                     --        ret
        },
    },
}

local code = CODE[jit.arch] or error("shared dictionaries know no lock for " .. jit.arch)
local page = assert(map(PAGE, function()
    return true
end))
local bytes = ffi.cast("uint8_t *", page)
for i, byte in ipairs(code.acquire) do
    bytes[i - 1] = byte
end
for i, byte in ipairs(code.release) do
    bytes[RELEASE_AT + i - 1] = byte
end
if ffi.C.pygw_shdict_protect(page, PAGE, READ + EXEC) ~= 0 then
    error("the system forbids new machine code, which shared dictionaries need: errno " .. ffi.errno())
end

return {
    -- acquire(address, mine, patience): mine is not 0. Returns 0 when the word was 0 and is `mine` now, else what
    -- it was at last.
    acquire = ffi.cast("int (*)(uintptr_t, int, int)", bytes),

    -- release(address, value).
    release = ffi.cast("void (*)(uintptr_t, int)", bytes + RELEASE_AT),
}
