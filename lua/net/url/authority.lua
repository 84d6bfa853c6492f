-- Owns the authority of a URL (user:password@host:port) and what counts as a host in net.url.
local find, gsub, lower, match = string.find, string.gsub, string.lower, string.match
local ipairs, tonumber = ipairs, tonumber

-- nil when it has not the form of an IPv4 address, false when it has but is none.
local function ipv4(text)
    local a, b, c, d = match(text, "^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if not a then
        return nil
    end
    for _, part in ipairs({ a, b, c, d }) do
        if tonumber(part) > 255 then
            return false
        end
    end
    return text
end

-- The address when it is a bracketed IPv6 address: eight groups, or fewer around one "::".
local function ipv6(text)
    local inner = match(text, "^%[([%x:]*)%]$")
    if not inner or find(inner, "%x%x%x%x%x") then
        return nil
    end
    local _, colons = gsub(inner, ":", "")
    local gap = find(inner, "::", 1, true)
    if gap then
        return not find(inner, "::", gap + 1, true) and colons <= 8 and text or nil
    end
    return colons == 7 and not find(inner, "^:") and not find(inner, ":$") and text or nil
end

local function domain(text)
    local name = lower(text)
    local valid = find(name, "^[%w%-%.]+$") and not find(name, "^%.") and not find(name, "%.$")
        and not find(name, "..", 1, true)
    return valid and name or nil
end

local function host(text)
    local address = ipv4(text)
    if address == nil then
        address = ipv6(text) or domain(text)
    end
    return address or nil
end

-- userinfo -> user, password; nil when it is not acceptable.
local function credentials(userinfo)
    local user, password = match(userinfo, "^(.*):([^:]*)$")
    user = user or userinfo
    if find(user, "^[%w%+%.]+$") then
        return user, password
    end
end

-- Parse an authority. Returns its parts, each nil where absent or invalid -- host, port, user, password,
-- userinfo -- and the text of the host as it was written.
return function(text)
    local parts = {}
    local userinfo, rest = match(text, "^([^@]*)@(.*)$")
    rest = rest or text
    local name, port = match(rest, "^(.*):(%d+)$")
    name = name or rest
    parts.host, parts.port = host(name), tonumber(port)
    if userinfo then
        parts.user, parts.password = credentials(userinfo)
        parts.userinfo = parts.user and userinfo
    end
    return parts, name
end
