-- Owns conditional requests: whether a response that would be 200 becomes 304 or 412, by the request's If-…
-- fields and the response's Last-Modified and ETag. Source: nginx, ngx_http_not_modified_filter_module.
local civil = require "ngx.api.civil"

local find, gsub, match = string.find, string.gsub, string.match
local gmatch = string.gmatch

local _M = {}

-- The fields of a request that make it conditional.
_M.FIELDS = { "if-match", "if-none-match", "if-modified-since", "if-unmodified-since" }

local function strong(tag)
    return (gsub(tag, "^W/", ""))
end

-- Does one of the entity tags in a list match the response's? weak: "W/" makes no difference.
local function matches(list, etag, weak)
    if find(list, "^%s*%*%s*$") then
        return true
    elseif not etag then
        return false
    end
    etag = weak and strong(etag) or etag
    for tag in gmatch(list, '%s*(W?/?"[^"]*")%s*,?') do
        if (weak and strong(tag) or tag) == etag then
            return true
        end
    end
    return false
end

-- Was the response's content modified after the date in the request? mode: the setting if_modified_since.
local function modified(date, last, mode)
    if not last or mode == "off" then
        return true
    end
    local since = civil.parse(date)
    if since == last then
        return false
    end
    return mode == "exact" or not since or since < last
end

local function precondition_fails(r, last, etag)
    local date = r.headers:get("if-unmodified-since")
    if date and not (last and last <= (civil.parse(date) or -1)) then
        return true
    end
    local tags = r.headers:get("if-match")
    return tags and not matches(tags, etag, false)
end

-- Is what the client has still good? Fields that are not there say nothing.
local function still_good(r, last, etag)
    local date, tags = r.headers:get("if-modified-since"), r.headers:get("if-none-match")
    if not date and not tags then
        return false
    end
    return not (date and modified(date, last, r.settings.if_modified_since))
        and not (tags and not matches(tags, etag, true))
end

-- The status that a conditional request gets in the stead of 200: 304, 412 or nil.
function _M.status(r)
    local value = r.resp:get("last-modified")
    local last, etag = value and civil.parse(value), r.resp:get("etag")
    etag = etag and match(etag, "^%s*(.-)%s*$")
    if precondition_fails(r, last, etag) then
        return 412
    end
    return still_good(r, last, etag) and 304 or nil
end

return _M
