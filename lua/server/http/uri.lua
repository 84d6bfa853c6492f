-- Owns request targets: their four forms, and the decoding and normalising of paths as nginx does it
-- (percent-decoding, "//" merged, "." and ".." resolved).

local byte, char, find, sub, gsub = string.byte, string.char, string.find, string.sub, string.gsub
local concat = table.concat
local tonumber = tonumber

local _M = {}

local function resolve_dots(path)
    local out, n = {}, 0
    local ends_in_slash = false
    for segment in path:gmatch("[^/]+") do
        ends_in_slash = false
        if segment == ".." then
            if n == 0 then
                return nil
            end
            n = n - 1
            ends_in_slash = true
        elseif segment == "." then
            ends_in_slash = true
        else
            n = n + 1
            out[n] = segment
        end
    end
    if sub(path, -1) == "/" then
        ends_in_slash = true
    end
    local joined = "/" .. concat(out, "/", 1, n)
    if ends_in_slash and n > 0 then
        joined = joined .. "/"
    end
    return joined
end

local function decode(hex)
    return char(tonumber(hex, 16))
end

-- Decode and normalise a path that begins with "/". Returns nil when it is malformed, holds a NUL or
-- climbs above the root.
function _M.normalize(path)
    if not find(path, "%", 1, true) and not find(path, "//", 1, true) and not find(path, "/.", 1, true) then
        return path
    end
    if find(gsub(path, "%%%x%x", ""), "%%") then
        return nil
    end
    local decoded = gsub(path, "%%(%x%x)", decode)
    if find(decoded, "%z") then
        return nil
    end
    return resolve_dots(decoded)
end

-- Split a request target. Returns path (raw), args (nil without any), host (only of an absolute
-- target, lower-cased, with its port); or nil and what is wrong.
function _M.split(target, method)
    local host
    local path = target
    if byte(target) ~= 47 then
        if target == "*" and method == "OPTIONS" then
            return "*", nil, nil
        end
        local scheme_end = select(2, find(target, "^[Hh][Tt][Tt][Pp][Ss]?://"))
        if not scheme_end then
            return nil, "invalid request target"
        end
        local path_at = find(target, "[/?#]", scheme_end + 1)
        host = sub(target, scheme_end + 1, (path_at or 0) - 1):lower()
        if host == "" or find(host, "@", 1, true) then
            return nil, "invalid host in request target"
        end
        path = path_at and sub(target, path_at) or "/"
        if byte(path) ~= 47 then
            path = "/" .. path
        end
    end
    local fragment = find(path, "#", 1, true)
    if fragment then
        path = sub(path, 1, fragment - 1)
    end
    local question = find(path, "?", 1, true)
    if question then
        local args = sub(path, question + 1)
        local none = args == "" and not fragment -- nginx sees arguments, empty ones, before a fragment
        return sub(path, 1, question - 1), not none and args or nil, host
    end
    return path, nil, host
end

local function climbs(path)
    return find(path, "^%.%.$") or find(path, "^%.%./") or find(path, "/%.%./") or find(path, "/%.%.$")
end

-- Take a URI that application code made apart: returns its path, percent-decoded, and its query string (nil
-- without "?"); or nil when it is unsafe. Mirrors ngx_http_parse_unsafe_uri.
function _M.parse_unsafe(text)
    local question = find(text, "?", 1, true)
    local path = question and sub(text, 1, question - 1) or text
    if path == "" or find(path, "%z") or climbs(path) then
        return nil
    end
    if find(path, "%", 1, true) then
        path = gsub(path, "%%(%x%x)", decode)
        if find(path, "%z") or climbs(path) then
            return nil
        end
    end
    return path, question and sub(text, question + 1) or nil
end

-- The query string args (nil: none) with more ("": nothing) behind it.
function _M.join_args(args, more)
    if more == "" then
        return args
    end
    return args and args ~= "" and args .. "&" .. more or more
end

-- A table of the bytes that nginx escapes in a path it sends to an upstream: controls, space, ", #, %, ?, …
local escaped = {}
for value = 0, 255 do
    local c = char(value)
    if value <= 32 or value >= 127 or find(c, '["#%%<>?\\^`{|}]') then
        escaped[c] = ("%%%02X"):format(value)
    end
end

-- Encode a decoded path for sending (ngx_escape_uri, NGX_ESCAPE_URI).
function _M.escape_path(path)
    if not find(path, '[%c%s\127-\255"#%%<>?\\^`{|}]') then
        return path
    end
    return (gsub(path, ".", escaped))
end

local function percent(c)
    return ("%%%02X"):format(byte(c))
end

-- A request target that the application made, as it may stand in a request line.
function _M.clean_target(target)
    return (gsub(target, "[%z\1-\32\127]", percent))
end

return _M
