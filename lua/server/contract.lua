-- Owns what an application may say: the keys of an application, a server and a location, and the check of
-- what stands there. Must never run any of it.
local settings = require "server.settings"

local error, type, ipairs, pairs, tostring = error, type, ipairs, pairs, tostring
local byte, find, sub = string.byte, string.find, string.sub
local floor = math.floor

local _M = {}

-- The phases of a request, in which handlers run.
_M.PHASES = {
    "server_rewrite", "rewrite", "access", "precontent", "content", "balancer", "header_filter", "body_filter",
    "log", "proxy_ssl_certificate", "proxy_ssl_verify", "ssl_certificate", "ssl_client_hello", "ssl_session_fetch",
    "ssl_session_store",
}
-- Those that belong to a server, before it is known which location answers.
local OF_SERVER = {
    server_rewrite = true, ssl_certificate = true, ssl_client_hello = true, ssl_session_fetch = true,
    ssl_session_store = true,
}
local MATCHES = { prefix = true, exact = true, prefer = true, regex = true, regex_i = true, named = true }

-- Raise what is wrong at `where`, in the application.
local function fail(where, why)
    error("the application" .. (where == "" and "" or "'s " .. where) .. " " .. why, 0)
end

local function at(where, key)
    if type(key) == "number" then
        return where .. "[" .. key .. "]"
    end
    return where == "" and key or where .. "." .. key
end

local function expect(kind)
    return function(value, where)
        if type(value) ~= kind then
            fail(where, "must be a " .. kind .. ", not " .. type(value))
        end
    end
end

local is_function, is_table, is_string, is_boolean =
    expect("function"), expect("table"), expect("string"), expect("boolean")

-- A check of an array whose items pass `check`; none may be missing.
local function array_of(check, what)
    return function(value, where)
        is_table(value, where)
        for key in pairs(value) do
            if type(key) ~= "number" or key < 1 or key > #value or key ~= floor(key) then
                fail(where, "must be an array of " .. what .. ", it has the key '" .. tostring(key) .. "'")
            end
        end
        for i, item in ipairs(value) do
            check(item, at(where, i))
        end
    end
end

local function is_listener(value, where)
    if type(value) ~= "number" or value < 1 or value ~= floor(value) then
        fail(where, "must be the number of a listener (1, 2, ...), not " .. tostring(value))
    end
end

-- A check of a table with string keys, each of a known name.
local function record_of(keys, what)
    return function(value, where)
        is_table(value, where)
        for key, item in pairs(value) do
            local check = keys[key]
            if not check then
                fail(where, "has an unknown key '" .. tostring(key) .. "'" .. what)
            end
            check(item, at(where, key))
        end
    end
end

local function check_settings(value, where)
    is_table(value, where)
    for name, item in pairs(value) do
        local default = settings[name]
        if default == nil then
            fail(where, "has an unknown key '" .. tostring(name) .. "': no setting of that name")
        elseif type(item) ~= type(default) and default ~= false and item ~= false then
            fail(at(where, name), "must be a " .. type(default) .. ", not " .. type(item))
        end
    end
end

local function check_variables(value, where)
    is_table(value, where)
    for name, default in pairs(value) do
        if type(name) ~= "string" or not find(name, "^[%w_]+$") then
            fail(where, "has a bad name '" .. tostring(name) .. "': letters, digits and '_' are allowed")
        end
        is_string(default, at(where, name))
    end
end

local function is_status(value, where)
    if type(value) ~= "number" or value < 0 or value > 999 or value ~= floor(value) then
        fail(where, "must be a status, not " .. tostring(value))
    end
end

local page = record_of({ uri = is_string, status = is_status }, " (uri, status)")

local function check_error_pages(value, where)
    is_table(value, where)
    for code, target in pairs(value) do
        if type(code) ~= "number" or code < 300 or code > 599 or code ~= floor(code) then
            fail(where, "has the key '" .. tostring(code) .. "': a status between 300 and 599 was expected")
        end
        local place = at(where, code)
        if type(target) == "table" then
            page(target, place)
            target = target.uri
        end
        if type(target) ~= "string" or target == "" then
            fail(place, "must be a URI or a table with a uri, not " .. type(target))
        end
    end
end

local mirror = record_of({ url = is_string, set_header = array_of(is_table, "pairs") }, " (url, set_header)")

local function is_variable(value, where)
    if type(value) ~= "string" or not find(value, "^%$[%w_]+$") then
        fail(where, "must be a variable, not " .. tostring(value))
    end
end

local cache = record_of({
    zone = is_variable, zone_info = is_variable, key = is_string, bypass = is_string, no_cache = is_string,
    methods = array_of(is_string, "methods"),
}, " (zone, zone_info, key, bypass, no_cache, methods)")

-- What nginx's proxy_* directives say; see server.http.proxy_request, upstream_tls for ssl_…, mirror, and cache.
local check_proxy = record_of({
    uri = is_string, scheme = is_string, set_header = array_of(is_table, "pairs"), http_version = is_string,
    next_upstream = array_of(is_string, "conditions"), next_upstream_tries = expect("number"),
    intercept_errors = is_boolean, ignore_client_abort = is_boolean,
    pass_request_headers = is_boolean, pass_request_body = is_boolean,
    buffering = is_boolean, -- responses are passed on as they come, whatever is said
    ssl_protocols = is_string, ssl_ciphers = is_string, ssl_name = is_string, ssl_server_name = is_boolean,
    ssl_verify = is_boolean, ssl_verify_depth = expect("number"), ssl_trusted_certificate = is_string,
    ssl_crl = is_string, ssl_certificate = is_string, ssl_certificate_key = is_string,
    ssl_session_reuse = is_boolean, ssl_conf_command = is_table, mirror = mirror, cache = cache,
}, ", which is none of proxy's")

local COMMON = {
    settings = check_settings, proxy = check_proxy, error_pages = check_error_pages, default_type = is_string,
}
local check_location

local function locations_of(value, where)
    return array_of(check_location, "locations")(value, where)
end

local function keys_of(own, server)
    for name, check in pairs(COMMON) do
        own[name] = check
    end
    for _, name in ipairs(_M.PHASES) do
        if server or not OF_SERVER[name] then
            own[name] = is_function
        end
    end
    own.locations = locations_of
    return own
end

local location_record = record_of(keys_of({
    path = is_string, match = is_string, internal = is_boolean,
}), ", which is none of a location")

local server_record = record_of(keys_of({
    names = array_of(is_string, "names"), listeners = array_of(is_listener, "numbers"),
}, true), ", which is none of a server")

local application_record = record_of(keys_of({
    init = is_function, init_worker = is_function, exit_worker = is_function,
    variables = check_variables, servers = array_of(server_record, "servers"),
}, true), ", which is none of an application")

local function check_path(location, where)
    local path, match = location.path, location.match or "prefix"
    if not MATCHES[match] then
        fail(at(where, "match"), "must be prefix, exact, prefer, regex, regex_i or named, not '" .. match .. "'")
    elseif path == nil or path == "" then
        fail(where, "has no path")
    elseif match == "named" and byte(path) ~= 64 then
        fail(at(where, "path"), "is '" .. path .. "': the path of a named location begins with '@'")
    elseif match ~= "named" and byte(path) == 64 then
        fail(at(where, "path"), "is '" .. path .. "': only a named location's path (match = \"named\") begins with '@'")
    end
end

-- What a nested location's path must hold to be of any use.
local function check_nesting(outer, inner, where)
    local kind, match = outer.match or "prefix", inner.match or "prefix"
    if kind == "exact" or kind == "named" then
        fail(where, "cannot have locations of its own: it is an " .. kind .. " one")
    elseif match == "named" then
        fail(at(where, "locations"), "holds '" .. inner.path .. "': a named location can be on the server level only")
    elseif (kind == "prefix" or kind == "prefer") and (match == "prefix" or match == "prefer" or match == "exact")
        and sub(inner.path, 1, #outer.path) ~= outer.path then
        fail(at(where, "locations"), "holds '" .. inner.path .. "', which is outside of '" .. outer.path .. "'")
    end
end

function check_location(location, where)
    location_record(location, where)
    check_path(location, where)
    for _, inner in ipairs(location.locations or {}) do
        check_nesting(location, inner, where)
    end
end

-- Check what an application's file returned. Returns it; raises what is wrong, naming the place.
function _M.check(app)
    if type(app) ~= "table" then
        error("the application must return a table of phase handlers, not " .. type(app), 0)
    end
    application_record(app, "")
    if not (app.servers or app.locations or app.content or app.balancer) then
        error("the application has neither a 'content' nor a 'balancer' handler, nor locations: "
            .. "nothing would answer", 0)
    end
    if app.servers and app.locations then
        fail("locations", "stand beside 'servers': they belong into one of these")
    end
    return app
end

return _M
