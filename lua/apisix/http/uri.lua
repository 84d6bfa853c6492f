-- Owns the request's path as routing sees it: the options of config.yaml that change it before a route is
-- looked for. Mirrors apisix (init.lua).
local escape = require "apisix.core.utils.escape"

local byte = string.byte
local char = string.char
local concat = table.concat
local find = string.find
local gmatch = string.gmatch
local gsub = string.gsub
local lower = string.lower
local sub = string.sub
local tonumber = tonumber

local SLASH = byte("/")

local _M = {}

-- A segment without its ";parameters". Returns nil and the reason if what is left could escape a rule.
local function strip(segment, is_last)
    local name = sub(segment, 1, find(segment, ";", 1, true) - 1)
    if name == "." or name == ".." then
        return nil, "dot segment with parameter"
    elseif name == "" and not is_last then
        return nil, "empty segment with parameters"
    end
    local encoded = lower(name)
    if encoded == "%2e" or encoded == "%2e%2e" then
        return nil, "encoded dot segment"
    end
    return name
end

-- The path without the parameters of its segments ("/a;x=1/b" -> "/a/b"), as servlets read it.
-- Returns nil and the reason when such a segment hides a dot or nothing.
function _M.without_parameters(uri)
    if not find(uri, ";", 1, true) then
        return uri
    end
    local segments, n = {}, 0
    for segment in gmatch(uri .. "/", "([^/]*)/") do
        n = n + 1
        segments[n] = segment
    end
    for i = 1, n do
        if find(segments[i], ";", 1, true) then
            local name, err = strip(segments[i], i == n)
            if not name then
                return nil, err
            end
            segments[i] = name
        end
    end
    return concat(segments, "/")
end

local function decode(path, keep_slash)
    return (gsub(path, "%%(%x%x)", function(hex)
        if keep_slash and lower(hex) == "2f" then
            return "%2F"
        end
        return char(tonumber(hex, 16))
    end))
end

-- The path in which an encoded slash is still "%2F", or nil when there is none or when the path was changed
-- by more than decoding: then only the normalized one is safe.
function _M.with_encoded_slash(request_uri, uri)
    local path = sub(request_uri, 1, (find(request_uri, "?", 1, true) or 0) - 1)
    if not find(lower(path), "%2f", 1, true) or decode(path, false) ~= uri then
        return nil
    end
    return decode(path, true)
end

-- Apply the options (the table `apisix` of config.yaml) to api_ctx.var.uri. Returns true, or nil and why
-- the request is bad.
function _M.normalize(api_ctx, options)
    local var = api_ctx.var
    local sent = var.uri
    local uri = sent
    if options.delete_uri_tail_slash and byte(uri, #uri) == SLASH then
        uri = sub(uri, 1, -2)
        var.uri = uri
    end
    if options.normalize_uri_like_servlet then
        local clean, err = _M.without_parameters(uri)
        if not clean then
            return nil, err
        end
        var.uri = clean
        -- the upstream reads what was sent; control characters would end its request line
        var.upstream_uri = escape.escape_uri_control_chars(sent)
    end
    return true
end

return _M
