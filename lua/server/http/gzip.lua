-- Owns the decision whether a response goes out gzipped, for a request that was told to (resty.apisix.response),
-- and what its head says then. Mirrors ngx_http_gzip_filter_module, ngx_http_gzip_ok and APISIX's change to both:
-- type, least length and HTTP version are the caller's matter. The compressing stands in server.http.deflate.
local deflate = require "server.http.deflate"

local byte, find, lower, match, sub = string.byte, string.find, string.lower, string.match, string.sub
local tonumber = tonumber

local COMMA, SPACE = 44, 32
local COMPRESSIBLE = { [200] = true, [403] = true, [404] = true }

local _M = {}

-- Where the coding "gzip" stands in an Accept-Encoding; nil: nowhere.
local function find_coding(value, from)
    local at, stop = find(value, "gzip", from, true)
    if not at then
        return nil
    end
    local before = byte(value, at - 1)
    if at == 1 or before == COMMA or before == SPACE then
        return stop + 1
    end
    return find_coding(value, stop + 1)
end

-- Whether an Accept-Encoding (nil: none) has gzip, with no quality of 0. "*" does not mean it, as in nginx.
function _M.accepted(value)
    if not value then
        return false
    end
    value = lower(value)
    local behind = find_coding(value, 1)
    if not behind then
        return false
    end
    local rest = match(value, "^ *([^ ].*)", behind)
    if not rest or byte(rest) == COMMA then
        return true
    end
    local quality = match(rest, "^; *q=([^ ,]*)")
    if not quality then
        return match(rest, "^; *$") ~= nil
    elseif not (match(quality, "^[01]$") or match(quality, "^[01]%.%d?%d?%d?$")) then
        return false
    end
    quality = tonumber(quality)
    return quality > 0 and quality <= 1
end

-- The entity is another one now: its tag may only say "much the same".
local function weaken_tag(resp)
    local tag = resp:get("etag")
    if not tag or sub(tag, 1, 2) == "W/" then
        return
    elseif byte(tag) == 34 then
        return resp:set("etag", "ETag", "W/" .. tag)
    end
    resp:remove("etag")
end

local function wanted(r)
    if r.parent or not COMPRESSIBLE[r.status] or r.headers:get("via") then
        return false
    elseif r.method == "HEAD" and not r.upstream_headers then -- nginx knows no body then
        return false
    end
    local coding = r.resp:get("content-encoding")
    return (not coding or coding == "") and _M.accepted(r.headers:get("accept-encoding"))
end

-- The head of r, which was told to be gzipped, is about to be written: change it where the body will be.
function _M.start(r)
    local extras, resp = r.extras, r.resp
    extras.encoder = nil
    if not wanted(r) then
        return
    end
    local length = resp:get("content-length")
    resp:remove("content-length")
    resp:remove("accept-ranges")
    resp:remove("content-encoding")
    resp:add("content-encoding", "Content-Encoding", "gzip")
    weaken_tag(resp)
    if r.method ~= "HEAD" then
        extras.encoder = deflate.new(extras.gzip.level, tonumber(length), extras)
        r.body_filtered = true
    end
end

return _M
