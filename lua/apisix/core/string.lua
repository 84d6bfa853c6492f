-- Owns string helpers; everything of Lua's string library is reachable through it too.
-- Mirrors apisix.core.string.
local ngx = ngx
local byte = string.byte
local error = error
local find = string.find
local setmetatable = setmetatable
local sub = string.sub
local type = type

local _M = { version = 0.1 }
setmetatable(_M, { __index = string })

local function check_strings(s, affix, what)
    if type(s) ~= "string" or type(affix) ~= "string" then
        error("unexpected type: s:" .. type(s) .. ", " .. what .. ":" .. type(affix), 3)
    end
end

-- Plain search for needle. Returns the first and last index, or nil. Raises unless haystack is a string.
function _M.find(haystack, needle, from)
    return find(haystack, needle, from or 1, true)
end

function _M.has_prefix(s, prefix)
    check_strings(s, prefix, "prefix")
    return #s >= #prefix and sub(s, 1, #prefix) == prefix
end

function _M.has_suffix(s, suffix)
    check_strings(s, suffix, "suffix")
    local from = #s - #suffix + 1
    return from >= 1 and sub(s, from) == suffix
end

-- Returns the index of the last ch in s, at or before idx (default: the end), or nil.
function _M.rfind_char(s, ch, idx)
    local wanted = byte(ch)
    for i = idx or #s, 1, -1 do
        if byte(s, i) == wanted then
            return i
        end
    end
    return nil
end

-- Shortens a script by dropping what indents its lines and what follows its commas: not for scripts
-- where white space matters.
function _M.compress_script(s)
    s = ngx.re.gsub(s, [[^\s+]], "", "mjo")
    s = ngx.re.gsub(s, [[,\s+]], ",", "mjo")
    return s
end

-- Decodes a query string into a table, however many arguments it has.
function _M.decode_args(args)
    return ngx.decode_args(args, 0)
end

-- Encodes a table as a query string.
function _M.encode_args(args)
    return ngx.encode_args(args)
end

return _M
