-- Owns the dot segments of URL paths (RFC 3986, 5.2). Must never encode or decode.
local concat = table.concat
local find, gmatch, gsub, sub = string.find, string.gmatch, string.gsub, string.sub

local _M = {}

-- Resolve "." and ".." segments; what climbs above the top is dropped. Empty segments are kept.
function _M.reduce(path)
    local absolute = sub(path, 1, 1) == "/"
    local kept, count, last = {}, 0, nil
    for segment in gmatch((absolute and sub(path, 2) or path) .. "/", "([^/]*)/") do
        last = segment
        if segment == ".." then
            count = count > 0 and count - 1 or 0
        elseif segment ~= "." then
            count = count + 1
            kept[count] = segment
        end
    end
    local reduced = concat(kept, "/", 1, count)
    if (last == "." or last == "..") and count > 0 then
        reduced = reduced .. "/"
    end
    return (absolute and "/" or "") .. reduced
end

-- The path that `relative` means beside `base`.
function _M.merge(base, relative)
    if sub(relative, 1, 1) == "/" then
        return _M.reduce(relative)
    end
    return _M.reduce(gsub(base, "[^/]*$", "") .. relative)
end

-- As reduce, but multiple slashes become one and a last dot segment leaves no slash.
function _M.remove_dot_segments(path)
    local kept, count = {}, 0
    for segment in gmatch(path, "[^/]+") do
        if segment == ".." then
            count = count > 0 and count - 1 or 0
        elseif segment ~= "." then
            count = count + 1
            kept[count] = segment
        end
    end
    local leading = sub(path, 1, 1) == "/" and "/" or ""
    local trailing = find(path, "[^/].*/$") and "/" or ""
    return leading .. concat(kept, "/", 1, count) .. trailing
end

return _M
