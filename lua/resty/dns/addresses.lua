-- Owns what lua-resty-dns does with addresses in text: zero groups of IPv6 left out or put in, names for PTR queries.
local concat = table.concat
local find, gmatch, match, rep, reverse, sub, gsub =
    string.find, string.gmatch, string.match, string.rep, string.reverse, string.sub, string.gsub

local _M = {}

local function groups_of(text)
    local groups = {}
    for group in gmatch(text, "[^:]+") do
        groups[#groups + 1] = group
    end
    return groups
end

-- Leave out the first run of groups that are "0".
function _M.compress_ipv6_addr(address)
    if find(address, "::", 1, true) then
        return address
    end
    local groups = groups_of(address)
    local first
    for i, group in ipairs(groups) do
        if group == "0" then
            first = i
            break
        end
    end
    if not first then
        return address
    end
    local last = first
    while groups[last + 1] == "0" do
        last = last + 1
    end
    return concat(groups, ":", 1, first - 1) .. "::" .. concat(groups, ":", last + 1)
end

-- Put in the groups that "::" stands for.
function _M.expand_ipv6_addr(address)
    local start, stop = find(address, "::", 1, true)
    if not start then
        return address
    end
    local left, right = groups_of(sub(address, 1, start - 1)), groups_of(sub(address, stop + 1))
    local count = #left
    for _ = 1, 8 - count - #right do
        left[#left + 1] = "0"
    end
    for _, group in ipairs(right) do
        left[#left + 1] = group
    end
    return concat(left, ":")
end

local function padded(group)
    return rep("0", 4 - #group) .. group
end

-- The name whose PTR record tells the name of the address; another text is given back as it is.
function _M.arpa_str(address)
    if find(address, ":", 1, true) then
        local digits = gsub(gsub(_M.expand_ipv6_addr(address), "[^:]+", padded), ":", "")
        return gsub(reverse(digits), ".", "%0.") .. "ip6.arpa"
    end
    local a, b, c, d = match(address, "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
    return a and concat({ d, c, b, a, "in-addr.arpa" }, ".") or address
end

return _M
