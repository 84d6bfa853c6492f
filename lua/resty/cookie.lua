-- Owns the cookies of the running request: reading those it came with, setting those it answers with.
-- Mirrors lua-resty-cookie 0.4: names, return values, error texts.
local ngx = ngx
local concat = table.concat
local gmatch = string.gmatch
local setmetatable = setmetatable
local type = type

local _M = { _VERSION = "0.4.1" }
local mt = { __index = _M }

local SAME_SITE = { Strict = true, Lax = true, None = true }

-- Returns the cookies of the running request.
function _M.new()
    return setmetatable({ _cookie = ngx.var.http_cookie }, mt)
end

-- Returns a table of name -> value (the last one where a name comes twice), or nil, err.
function _M:get_all()
    if not self._cookie then
        return nil, "no cookie found in the current request"
    end
    local cookies = self.cookie_table
    if not cookies then
        cookies = {}
        for name, value in gmatch(self._cookie, "([^=;%s]+)%s*=%s*([^;]*)") do
            cookies[name] = value:match("^(.-)%s*$")
        end
        self.cookie_table = cookies
    end
    return cookies
end

-- Returns the value of one cookie, or nil; nil, err when the request has none at all.
function _M:get(name)
    local cookies, err = self:get_all()
    if not cookies then
        return nil, err
    end
    return cookies[name]
end

local function bake(cookie)
    if not cookie.key or not cookie.value then
        return nil, 'missing cookie field "key" or "value"'
    end
    if cookie.samesite and not SAME_SITE[cookie.samesite] then
        return nil, "invalid samesite: " .. cookie.samesite
    end
    if cookie.max_age and not cookie.expires then
        cookie.expires = ngx.cookie_time(ngx.time() + cookie.max_age)
    end

    local parts = { cookie.key .. "=" .. cookie.value }
    local function add(name, value)
        if value then
            parts[#parts + 1] = name .. "=" .. value
        end
    end
    add("Expires", cookie.expires)
    add("Max-Age", cookie.max_age)
    add("Domain", cookie.domain)
    add("Path", cookie.path)
    parts[#parts + 1] = cookie.secure and "Secure" or nil
    parts[#parts + 1] = cookie.httponly and "HttpOnly" or nil
    add("SameSite", cookie.samesite)
    parts[#parts + 1] = cookie.extension
    return concat(parts, "; ")
end

-- cookie: {key, value, expires, max_age, domain, path, secure, httponly, samesite, extension}.
-- Adds a Set-Cookie header, once. Returns true, or nil, err.
function _M.set(_, cookie)
    local text, err = bake(cookie)
    if not text then
        return nil, err
    end
    local present = ngx.header["Set-Cookie"]
    if type(present) == "string" then
        present = { present }
    end
    local all = {}
    for i, each in ipairs(present or all) do
        if each == text then
            return true
        end
        all[i] = each
    end
    all[#all + 1] = text
    ngx.header["Set-Cookie"] = all
    return true
end

return _M
