-- Owns the choice of a server: by the listener that a connection came in on, then by the request's host,
-- in nginx's order: the exact name, the longest "*.x", the longest "x.*", the first regex, the first server.
local location_match = require "server.http.location_match"
local locations = require "server.http.locations"

local error, ipairs = error, ipairs
local byte, find, lower, sub = string.byte, string.find, string.lower, string.sub
local DOT = 46

local _M = {}

local sites = {} -- by the listener's number

local function empty_site()
    return { default = nil, single = true, exact = {}, suffixes = {}, prefixes = {}, regexes = {}, home = nil }
end

local function put(names, name, server, listener)
    if not names[name] then
        names[name] = server
    else
        require("server.log").warn('conflicting server name "', name, '" on listener ', listener, ", ignored")
    end
end

local function add_name(site, name, server, listener)
    if byte(name) == 126 then -- "~regex"
        local regex, groups = locations.compile_regex(sub(name, 2), "joi", server.variables)
        site.regexes[#site.regexes + 1] = { regex = regex, groups = groups, server = server }
        return
    end
    name = lower(name)
    if sub(name, 1, 2) == "*." then
        return put(site.suffixes, sub(name, 2), server, listener)
    elseif byte(name) == DOT then
        put(site.suffixes, name, server, listener)
        return put(site.exact, sub(name, 2), server, listener)
    elseif sub(name, -2) == ".*" then
        return put(site.prefixes, sub(name, 1, -2), server, listener)
    end
    return put(site.exact, name, server, listener)
end

local function add(site, server, listener)
    site.single = site.default == nil
    site.default = site.default or server
    for _, name in ipairs(#server.names > 0 and server.names or { "" }) do
        add_name(site, name, server, listener)
    end
end

local function place(server, i, count)
    for _, number in ipairs(server.listeners or {}) do
        if number > count then
            error("the application's servers[" .. i .. "].listeners has " .. number .. ": the worker has "
                .. count .. (count == 1 and " listener" or " listeners"), 0)
        end
        add(sites[number], server, number)
    end
    if not server.listeners then
        for number = 1, count do
            add(sites[number], server, number)
        end
    end
end

local NOWHERE = { servers = { { locations = {} } } } -- for a listener that no server answers on

-- Make the servers of an application (checked) ready to answer on `count` listeners.
function _M.build(app, count)
    for number = 1, count do
        sites[number] = empty_site()
    end
    for i, server in ipairs(locations.servers(app)) do
        place(server, i, count)
    end
    for number = 1, count do
        local site = sites[number]
        if not site.default then
            add(site, locations.servers(NOWHERE)[1], number)
        end
        site.home = site.single and #site.regexes == 0 and site.default.only or nil
        site.by_name = not site.single or #site.regexes > 0
    end
end

-- What answers on a listener: {default (its first server), home (the location that answers every request
-- whatever its host and URI, or nil), …}.
function _M.site(number)
    return sites[number]
end

-- The longest wildcard name that host is of: "*.x" by what follows a dot, "x.*" by what ends in one.
local function by_suffix(site, host, from)
    local dot = find(host, ".", from, true)
    if not dot then
        return nil
    end
    return dot > 1 and site.suffixes[sub(host, dot)] or by_suffix(site, host, dot + 1)
end

local function by_prefix(site, host, to)
    if to == 0 then
        return nil
    elseif byte(host, to) == DOT and to < #host and site.prefixes[sub(host, 1, to)] then
        return site.prefixes[sub(host, 1, to)]
    end
    return by_prefix(site, host, to - 1)
end

local function by_regex(site, host, r)
    for _, each in ipairs(site.regexes) do
        local captures = each.regex(host)
        if captures then
            location_match.note_captures(r, captures, each.groups)
            return each.server
        end
    end
    return nil
end

-- The server of a site for request r, by r.host (lower-cased, without its port; nil: none was named).
function _M.choose(site, r)
    if not site.by_name then
        return site.default
    end
    local host = r.host or ""
    return site.exact[host] or by_suffix(site, host, 1) or by_prefix(site, host, #host)
        or by_regex(site, host, r) or site.default
end

return _M
