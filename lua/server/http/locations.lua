-- Owns the making of locations from what an application says: who inherits what, as nginx merges its
-- directives (application, server, location, nested location; the innermost one wins whole).
local contract = require "server.contract"
local location_match = require "server.http.location_match"
local settings = require "server.settings"
local template = require "server.http.template"

local error, ipairs, pairs, next, setmetatable, type = error, ipairs, pairs, next, setmetatable, type
local byte, find, sub = string.byte, string.find, string.sub

local _M = {}

-- Settings of a level: the outer ones' own table when nothing is changed.
local function merged_settings(outer, own)
    if not own or next(own) == nil then
        return outer
    end
    local merged = {}
    for name, value in pairs(outer) do
        merged[name] = value
    end
    for name, value in pairs(own) do
        merged[name] = value
    end
    return merged
end

-- A URI of an error page: a string, or a function(r) when variables stand in it.
local function compile_target(uri)
    return find(uri, "$", 1, true) and template.compile(uri) or uri
end

-- code -> {target (string or function), status (nil: the error's; 0: the page's own)}
local function compile_pages(pages)
    local compiled = {}
    for code, page in pairs(pages) do
        if type(page) == "string" then
            page = { uri = page }
        end
        compiled[code] = { target = compile_target(page.uri), status = page.status }
    end
    return compiled
end

local HANDLERS = {}
for _, name in ipairs(contract.PHASES) do
    if name ~= "content" and name ~= "balancer" then
        HANDLERS[#HANDLERS + 1] = name
    end
end

-- What makes the response is one thing: a level with either of them has no other's.
local function put_makers(conf, outer, own)
    if own.content or own.balancer then
        conf.content, conf.balancer = own.content, own.balancer
    elseif outer then
        conf.content, conf.balancer = outer.content, outer.balancer
    end
    conf.proxied = own.balancer ~= nil and own.content == nil
end

-- What is so at a level that says `own` within `outer`. makers: the level whose content and balancer it has
-- unless it has its own, or nil.
local function conf_of(outer, own, makers)
    local conf = {}
    for _, name in ipairs(HANDLERS) do
        conf[name] = own[name] or outer[name]
    end
    put_makers(conf, makers, own)
    conf.proxy = own.proxy or outer.proxy
    if own.proxy and own.proxy.cache then
        require("server.http.cache").watch(own.proxy.cache)
    end
    conf.default_type = own.default_type or outer.default_type
    conf.error_pages = own.error_pages and compile_pages(own.error_pages) or outer.error_pages
    conf.settings = merged_settings(outer.settings, own.settings)
    conf.content_type = conf.settings.use_default_type and conf.default_type or nil
    return conf
end

-- Compile the regex of a location or a server. Returns a function(text) -> captures (index or name ->
-- string) or nil, and the names of its named groups, which become variables, or nil.
local function compile_regex(pattern, options, variables)
    local match = ngx.re.match
    local _, err = match("", pattern, options)
    if err then
        error("the application's regex '" .. pattern .. "' cannot be compiled: " .. err, 0)
    end
    local groups = location_match.group_names(pattern)
    for _, name in ipairs(groups) do
        variables[name] = variables[name] or ""
    end
    return function(text)
        return (match(text, pattern, options))
    end, groups[1] and groups or nil
end
_M.compile_regex = compile_regex

local make_level

-- one: a location of the application; outer: the conf around it; makers: see conf_of.
local function make(one, outer, makers, server)
    local location = conf_of(outer, one, makers)
    location.path, location.match = one.path, one.match or "prefix"
    location.internal, location.server = one.internal or location.match == "named", server
    if location.match == "regex" or location.match == "regex_i" then
        location.regex, location.groups = compile_regex(one.path, location.match == "regex" and "jo" or "joi",
            server.variables)
    end
    if one.locations then
        location.level = make_level(one.locations, location, nil, server)
    end
    return location
end

local function refuse_twice(location, seen)
    local match = location.match == "prefer" and "prefix" or location.match
    local key = match .. " " .. location.path
    if seen[key] then
        error("the application has the location '" .. location.path .. "' (" .. match .. ") twice on one level", 0)
    end
    seen[key] = true
end

function make_level(list, outer, makers, server)
    local made, seen = {}, {}
    for i, one in ipairs(list) do
        local location = make(one, outer, makers, server)
        refuse_twice(location, seen)
        made[i] = location
        if location.match == "named" then
            server.named[location.path] = location
        end
    end
    return location_match.level(made)
end

-- The one location that answers whatever comes, if there is no more to a server than that.
local function only_location(server)
    local level = server.level
    local all = level.prefixes["/"]
    if not all or server.outer.server_rewrite or all.internal or all.level or #level.lengths > 1
        or #level.regexes > 0 or next(level.exact) then
        return nil
    end
    return all
end

-- A server: {names, name, listeners (numbers, nil: all), outer (what holds before a location is found),
-- unmatched (the same, where none is found), level, named, only (the location that answers all, or nil)}.
-- own: what the application says of it; around: the conf around it; variables: the application's.
local function make_server(own, around, variables)
    local server = { names = own.names or {}, listeners = own.listeners, named = {}, variables = variables }
    server.name = server.names[1] or ""
    if byte(server.name) == 46 then -- ".x" is x and *.x
        server.name = sub(server.name, 2)
    end
    server.outer = conf_of(around, own, around)
    server.unmatched = conf_of(server.outer, {})
    server.outer.server, server.unmatched.server = server, server
    server.level = make_level(own.locations or { { path = "/" } }, server.outer, server.outer, server)
    server.only = only_location(server)
    return server
end

-- The servers of an application that was checked, whose settings are the worker's already.
function _M.servers(app)
    local variables = app.variables or {}
    app.variables = variables
    local base = { settings = settings, default_type = "text/plain" }
    local plain = setmetatable({ settings = false }, { __index = app })
    if not app.servers then
        return { make_server(plain, base, variables) }
    end
    local around, servers = conf_of(base, plain), {}
    for i, own in ipairs(app.servers) do
        servers[i] = make_server(own, around, variables)
    end
    return servers
end

return _M
