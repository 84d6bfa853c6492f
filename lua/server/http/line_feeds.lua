-- Owns heads whose lines may end in a bare LF, where the setting bare_line_feeds allows that: they are written
-- down anew with CRLF, so that one parser reads both. Must never be used for chunks, whose lines are strict.
local ffi = require "ffi"

local ffi_string = ffi.string
local find, gsub, sub = string.find, string.gsub, string.sub

-- The head that lies in the first `length` bytes at p. Returns how many bytes of empty lines stand before it, the
-- head as it came and the same with CRLF at its lines' ends; only the first when it is not all there.
return function(p, length)
    local text = ffi_string(p, length)
    local begin = find(text, "[^\r\n]") or #text + 1
    local _, stop = find(text, "\n\r?\n", begin)
    if not stop then
        return begin - 1
    end
    local head = sub(text, begin, stop)
    return begin - 1, head, (gsub(head, "\r?\n", "\r\n"))
end
