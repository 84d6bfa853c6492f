-- Owns reading the request's cookies and setting the response's (API of lua-resty-cookie 0.4).
-- Must never touch a request other than the current one.
local byte, find, sub = string.byte, string.find, string.sub
local ipairs, ngx, setmetatable, type = ipairs, ngx, setmetatable, type

local SPACE, TAB = 32, 9
local NO_COOKIE = "no cookie found in the current request"
local SAMESITE = { Strict = true, Lax = true, None = true }

local _M = { _VERSION = "0.4.1" }
local metatable = { __index = _M }

-- header[from..to] without the blanks at its end. A pattern would try each blank as the first of them.
local function trimmed(header, from, to)
    local last = byte(header, to)
    while to >= from and (last == SPACE or last == TAB) do
        to = to - 1
        last = byte(header, to)
    end
    return sub(header, from, to)
end

-- Walk the pairs of a Cookie header: value, or all values, by name. A value ends at a blank, as in the
-- original; blanks around "=" and pieces without it are skipped. One pass, however strange the header.
local function parse(header)
    local last, all = {}, {}
    local at = find(header, "[^; \t]")
    while at do
        local mark = find(header, "[=;]", at)
        if not mark then
            break
        end
        if sub(header, mark, mark) == "=" then
            local name = trimmed(header, at, mark - 1)
            local start = find(header, "[^ \t]", mark + 1) or #header + 1
            local stop = find(header, "[; \t]", start) or #header + 1
            local value = sub(header, start, stop - 1)
            last[name] = value
            all[name] = all[name] or {}
            all[name][#all[name] + 1] = value
            mark = stop
        end
        at = find(header, "[^; \t]", mark)
    end
    return last, all
end

-- The cookies of the current request.
function _M.new()
    return setmetatable({ _cookie = ngx.var.http_cookie }, metatable)
end

local function parsed(self)
    if self._cookie and not self.cookie_table then
        self.cookie_table, self.multiple_value_cookie_table = parse(self._cookie)
    end
    return self._cookie
end

-- The value of the last cookie of this name. Without any cookie: nil, err.
function _M.get(self, key)
    if not parsed(self) then
        return nil, NO_COOKIE
    end
    return self.cookie_table[key]
end

-- All cookies, {name = value}. Without any cookie: nil, err.
function _M.get_all(self)
    if not parsed(self) then
        return nil, NO_COOKIE
    end
    return self.cookie_table
end

-- All values of the cookies of this name, in order. Without any cookie: nil, err.
function _M.get_all_for(self, key)
    if not parsed(self) then
        return nil, NO_COOKIE
    end
    return self.multiple_value_cookie_table[key]
end

-- The length of the Cookie header in bytes.
function _M.get_cookie_size(self)
    return self._cookie and #self._cookie or 0
end

local function attribute(name, value)
    return value and "; " .. name .. "=" .. value or ""
end

local function flag(name, value)
    return value and "; " .. name or ""
end

-- The Set-Cookie value of {key, value, expires, max_age, domain, path, secure, httponly, samesite,
-- partitioned, extension}; or nil, err. An unknown samesite is left out, with a warning.
function _M.get_cookie_string(cookie)
    if not cookie.key or not cookie.value then
        return nil, 'missing cookie field "key" or "value"'
    end
    local samesite = cookie.samesite
    if samesite and not SAMESITE[samesite] then
        ngx.log(ngx.WARN, "SameSite value must be 'Strict', 'Lax' or 'None'")
        samesite = nil
    end
    return cookie.key .. "=" .. cookie.value
        .. attribute("Expires", cookie.expires)
        .. attribute("Max-Age", cookie["max-age"] or cookie.max_age)
        .. attribute("Domain", cookie.domain)
        .. attribute("Path", cookie.path)
        .. flag("Secure", cookie.secure)
        .. flag("HttpOnly", cookie.httponly)
        .. attribute("SameSite", samesite)
        .. flag("Partitioned", cookie.partitioned)
        .. (cookie.extension and "; " .. cookie.extension or "")
end

local function as_list(header)
    if type(header) == "table" then
        return header
    end
    return header and { header } or {}
end

-- Add a Set-Cookie header, unless the very same one is there. Returns true, or nil, err.
function _M.set(_, cookie)
    local text, err = _M.get_cookie_string(cookie)
    if not text then
        return nil, err
    end
    local cookies = {}
    for i, present in ipairs(as_list(ngx.header["Set-Cookie"])) do
        if present == text then
            return true
        end
        cookies[i] = present
    end
    cookies[#cookies + 1] = text
    ngx.header["Set-Cookie"] = #cookies == 1 and text or cookies
    return true
end

return _M
