-- Owns parsing, building and resolving of URLs (API of neturl's net.url, which plugins and the JSON schema
-- validator use). Must never fetch anything. A URL is a table of its parts, with this module as its methods.
local authority = require "net.url.authority"
local codec = require "net.url.codec"
local paths = require "net.url.path"
local queries = require "net.url.query"

local encode, decode, options = codec.encode, codec.decode, codec.options
local gsub, lower = string.gsub, string.lower
local next, setmetatable, tostring, type = next, setmetatable, tostring, type

local _M = {
    version = "1.2",
    options = options,
    buildQuery = queries.build,
    parseQuery = queries.parse,
    removeDotSegments = paths.remove_dot_segments,
}

-- Ports that are left out of a built URL of their scheme.
_M.services = {
    acap = 674, afs = 1483, cap = 1026, dict = 2628, ftp = 21, gopher = 70, http = 80, https = 443, iax = 4569,
    icap = 1344, imap = 143, ipp = 631, jms = 5673, ldap = 389, mtqp = 1038, mupdate = 3905, news = 2009,
    nfs = 2049, nntp = 119, prospero = 191, rsync = 873, rtsp = 554, sip = 5060, snmp = 161, telnet = 23,
    tftp = 69, vemmi = 575, videotex = 516,
}

local function built_authority(url)
    local text = url.host
    if url.port and url.scheme and _M.services[url.scheme] ~= url.port then
        text = text .. ":" .. url.port
    end
    local user = url.user
    if user and user ~= "" then
        text = user .. (url.password and ":" .. url.password or "") .. "@" .. text
    end
    return text
end

-- The URL as a string; so do tostring() and "..".
function _M.build(self)
    local text = tostring(self.path or "")
    local query = self.query and tostring(self.query) or ""
    if query ~= "" then
        text = text .. "?" .. query
    end
    if self.host then
        local tail = text ~= "" and "/" .. gsub(text, "^/+", "") or ""
        text = "//" .. built_authority(self) .. tail
    end
    if self.scheme then
        text = self.scheme .. ":" .. text
    end
    if self.fragment then
        text = text .. "#" .. self.fragment
    end
    return text
end

-- Append a path segment, encoded; so does "/".
function _M.addSegment(self, segment)
    if type(segment) == "string" then
        self.path = self.path .. "/" .. encode(gsub(segment, "^/+", ""), options.legal_in_path)
    end
    return self
end

-- Set the query from a string or a table. Returns the string.
function _M.setQuery(self, query)
    if type(query) == "table" then
        query = queries.build(query)
    end
    self.query = queries.parse(query)
    return query
end

-- Set authority, userinfo, user, password, host, port. Returns the host as it was written.
function _M.setAuthority(self, text)
    local parts, name = authority(text)
    self.authority = text
    self.userinfo, self.user, self.password = parts.userinfo, parts.user, parts.password
    self.host, self.port = parts.host, parts.port
    return name
end

local metatable = {
    __index = _M,
    __tostring = _M.build,
    __concat = function(a, b)
        return tostring(a) .. tostring(b)
    end,
    __div = _M.addSegment,
}

-- Cut off what a pattern matches at either end. Returns its capture and the rest.
local function cut(text, pattern)
    local found
    local rest = gsub(text, pattern, function(capture)
        found = capture
        return ""
    end, 1)
    return found, rest
end

-- Parse any text: parts that are absent or invalid are nil. Parts: scheme, authority, userinfo, user,
-- password, host (lower case), port (number), path (encoded uniformly), query (table), fragment.
function _M.parse(url)
    local self, rest = {}, tostring(url or "")
    local scheme, query, location
    self.fragment, rest = cut(rest, "#(.*)$")
    scheme, rest = cut(rest, "^(%w[%w%+%-%.]*):")
    query, rest = cut(rest, "%?(.*)")
    location, rest = cut(rest, "^//([^/]*)")
    self.scheme = scheme and lower(scheme)
    _M.setQuery(self, query or "")
    _M.setAuthority(self, location or "")
    self.path = gsub(rest, "[^/]+", function(segment)
        return encode(decode(segment), options.legal_in_path)
    end)
    return setmetatable(self, metatable)
end

local function as_url(url)
    return type(url) == "string" and _M.parse(url) or url
end

-- The URL that the reference `other` means when read at `self` (RFC 3986, 5.2). Strings or URLs; a URL
-- given as `other` is completed in place and returned.
function _M.resolve(self, other)
    self, other = as_url(self), as_url(other)
    if other.scheme then
        return other
    end
    other.scheme = self.scheme
    if other.authority and other.authority ~= "" then
        return other
    end
    other:setAuthority(self.authority)
    if other.path and other.path ~= "" then
        other.path = paths.merge(self.path, other.path)
        return other
    end
    other.path = self.path
    if not other.query or not next(other.query) then
        other.query = self.query
    end
    return other
end

-- Resolve dot segments and multiple slashes of the path, in place. Returns the URL.
function _M.normalize(self)
    self = as_url(self)
    if self.path then
        self.path = gsub(paths.reduce(self.path), "//+", "/")
    end
    return self
end

return _M
