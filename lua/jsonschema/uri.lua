-- Owns the resolution of URI references (RFC 3986, section 5), as far as $id and $ref need it.
-- Must never fetch anything.
local match = string.match
local gsub = string.gsub
local sub = string.sub
local find = string.find
local concat = table.concat

local function split(uri)
    local parts = {}
    uri = gsub(uri, "#(.*)$", function(fragment)
        parts.fragment = fragment
        return ""
    end)
    uri = gsub(uri, "^([%a][%w+.-]*):", function(scheme)
        parts.scheme = scheme:lower()
        return ""
    end)
    uri = gsub(uri, "%?(.*)$", function(query)
        parts.query = query
        return ""
    end)
    parts.path = gsub(uri, "^//([^/]*)", function(authority)
        parts.authority = authority
        return ""
    end)
    return parts
end

local function join(parts)
    return (parts.scheme and parts.scheme .. ":" or "")
        .. (parts.authority and "//" .. parts.authority or "")
        .. parts.path
        .. (parts.query and "?" .. parts.query or "")
end

local function without_dots(path)
    local kept = {}
    for segment in path:gmatch("[^/]+") do
        if segment == ".." then
            kept[#kept] = nil
        elseif segment ~= "." then
            kept[#kept + 1] = segment
        end
    end
    local rooted = sub(path, 1, 1) == "/" and "/" or ""
    local as_directory = find(path, "/%.?%.?$") and #kept > 0 and "/" or ""
    return rooted .. concat(kept, "/") .. as_directory
end

local function merged_path(base, path)
    if sub(path, 1, 1) == "/" then
        return without_dots(path)
    elseif base.authority and base.path == "" then
        return without_dots("/" .. path)
    end
    return without_dots((match(base.path, "^.*/") or "") .. path)
end

local _M = {}

--- Resolve `reference` against the absolute URI `base` ("" for a document without one).
-- @return the URI without its fragment, and the fragment or nil
function _M.resolve(base, reference)
    local ref, from = split(reference), split(base)
    if ref.scheme then
        return join(ref), ref.fragment
    end
    if not ref.authority then
        if ref.path == "" then
            ref.path, ref.query = from.path, ref.query or from.query
        else
            ref.path = merged_path(from, ref.path)
        end
        ref.authority = from.authority
    end
    ref.scheme = from.scheme
    return join(ref), ref.fragment
end

return _M
