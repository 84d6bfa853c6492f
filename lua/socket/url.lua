-- Owns the module `socket.url`: URLs taken apart, put together, and resolved against each other, without a network.
-- Source: LuaSocket's documentation of it; RFC 3986. Must never require LuaSocket's C parts.
local byte, char, find, format = string.byte, string.char, string.find, string.format
local gsub, match, sub = string.gsub, string.match, string.sub
local concat = table.concat
local pairs, tonumber, type = pairs, tonumber, type

local _M = { _VERSION = "URL 1.0.3" }

-- Percent-encode all but letters and digits.
function _M.escape(text)
    return (gsub(text, "[^%w]", function(c)
        return format("%%%02x", byte(c))
    end))
end

-- Decode percent-encodings.
function _M.unescape(text)
    return (gsub(text, "%%(%x%x)", function(digits)
        return char(tonumber(digits, 16))
    end))
end

-- Encode what may not stand in a segment of a path (RFC 3986, section 3.3).
local function protect(segment)
    return (gsub(segment, "[^%w%-_.!~*'():@&=+$,]", function(c)
        return format("%%%02x", byte(c))
    end))
end

-- Split a text at the first match of pattern, which has one capture. Returns what is before it, and the capture.
local function split(text, pattern)
    local start, _, rest = find(text, pattern)
    if not start then
        return text, nil
    end
    return sub(text, 1, start - 1), rest
end

local function parse_authority(parsed, authority)
    parsed.authority = authority
    local userinfo, place = match(authority, "^([^@]*)@(.*)$")
    if userinfo then
        parsed.userinfo = userinfo
        parsed.user, parsed.password = match(userinfo, "^([^:]*):?(.*)$")
        if not find(userinfo, ":", 1, true) then
            parsed.password = nil
        end
    else
        place = authority
    end
    local host, port = match(place, "^(.*):([^:%]]*)$")
    if port then
        place, parsed.port = host, port
    end
    if place ~= "" then
        parsed.host = match(place, "^%[(.+)%]$") or place
    end
end

-- Take a URL apart. default: a table of what it has when the URL does not say it. Returns {scheme, authority, userinfo,
-- user, password, host, port (a string), path, params, query, fragment}, or nil and "invalid url" for none.
function _M.parse(url, default)
    local parsed = {}
    for name, value in pairs(default or parsed) do
        parsed[name] = value
    end
    if not url or url == "" then
        return nil, "invalid url"
    end
    local part
    url, part = split(url, "#(.*)$")
    parsed.fragment = part or parsed.fragment
    local scheme, rest = match(url, "^(%w[%w+.-]*):(.*)$")
    if scheme then
        parsed.scheme, url = scheme, rest
    end
    local authority, below = match(url, "^//([^/?]*)(.*)$")
    if authority then
        url = below
    end
    url, part = split(url, "%?(.*)$")
    parsed.query = part or parsed.query
    url, part = split(url, ";(.*)$")
    parsed.params = part or parsed.params
    if url ~= "" then
        parsed.path = url
    end
    if authority then
        parse_authority(parsed, authority)
    end
    return parsed
end

local function build_authority(parsed)
    local host = parsed.host
    if not host then
        return parsed.authority
    end
    local authority = find(host, ":", 1, true) and "[" .. host .. "]" or host
    if parsed.port then
        authority = authority .. ":" .. parsed.port
    end
    local userinfo = parsed.userinfo
    if parsed.user then
        userinfo = parsed.user .. (parsed.password and ":" .. parsed.password or "")
    end
    return userinfo and userinfo .. "@" .. authority or authority
end

-- Put a URL together of a table such as parse gives; its paths and names are encoded where they must be.
function _M.build(parsed)
    local url = _M.build_path(_M.parse_path(parsed.path or ""))
    if parsed.params then
        url = url .. ";" .. parsed.params
    end
    if parsed.query then
        url = url .. "?" .. parsed.query
    end
    local authority = build_authority(parsed)
    if authority then
        url = "//" .. authority .. url
    end
    if parsed.scheme then
        url = parsed.scheme .. ":" .. url
    end
    return parsed.fragment and url .. "#" .. parsed.fragment or url
end

-- A path without "." and ".." (RFC 3986, section 5.2.4).
local function without_dots(path)
    local kept = {}
    local rooted = sub(path, 1, 1) == "/"
    for segment, slash in path:gmatch("([^/]*)(/?)") do
        if segment == ".." then
            if #kept > 0 and kept[#kept] ~= "../" then
                kept[#kept] = nil
            elseif not rooted then
                kept[#kept + 1] = ".." .. slash
            end
        elseif segment ~= "." and segment .. slash ~= "" and not (rooted and #kept == 0 and segment == "") then
            kept[#kept + 1] = segment .. slash
        end
    end
    return (rooted and "/" or "") .. concat(kept)
end

local function merge_paths(base, path)
    if sub(path, 1, 1) == "/" then
        return without_dots(path)
    end
    return without_dots((match(base, "^(.*/)[^/]*$") or "") .. path)
end

-- A URL, or a table of one, seen from base, which is either too. Returns a string, or nil when there is no base.
function _M.absolute(base, relative)
    local parts = base
    if type(base) ~= "table" then
        parts = _M.parse(base)
    end
    local text = type(relative) == "table" and _M.build(relative) or relative
    local own = type(relative) == "table" and relative or _M.parse(relative)
    if not parts then
        return text
    elseif not own then
        return type(base) == "table" and _M.build(base) or base
    elseif own.scheme then
        return text
    end
    local result = { scheme = parts.scheme, fragment = own.fragment }
    if own.authority or own.host then
        result.authority, result.host, result.port = own.authority, own.host, own.port
        result.path, result.params, result.query = own.path, own.params, own.query
        return _M.build(result)
    end
    result.authority = build_authority(parts)
    if own.path then
        result.path, result.params, result.query = merge_paths(parts.path or "/", own.path), own.params, own.query
    else
        result.path, result.params = parts.path, own.params or parts.params
        result.query = own.query or not own.params and parts.query or nil
    end
    return _M.build(result)
end

-- Split a path into its decoded segments: an array with is_absolute and is_directory (1 or nil).
function _M.parse_path(path)
    local parsed = {}
    path = path or ""
    for segment in path:gmatch("[^/]+") do
        parsed[#parsed + 1] = _M.unescape(segment)
    end
    if sub(path, 1, 1) == "/" then
        parsed.is_absolute = 1
    end
    if sub(path, -1) == "/" then
        parsed.is_directory = 1
    end
    return parsed
end

-- Join segments such as parse_path gives. unsafe: without encoding them.
function _M.build_path(parsed, unsafe)
    local segments = {}
    for i = 1, #parsed do
        segments[i] = unsafe and parsed[i] or protect(parsed[i])
    end
    local path = concat(segments, "/")
    if #parsed > 0 and parsed.is_directory then
        path = path .. "/"
    end
    return parsed.is_absolute and "/" .. path or path
end

return _M
