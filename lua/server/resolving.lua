-- Owns the way from a host name to an address for outgoing sockets, as the setting `resolver` says: "system"
-- (the machine's own resolver), "" (none), or nameservers as in nginx's directive ("127.0.0.1:53 ipv6=off").
-- Source: nginx, "resolver" and "resolver_timeout"; texts of ngx_resolver_strerror.
local address = require "server.address"
local bridge = require "server.bridge"

local ipairs, tonumber = ipairs, tonumber
local find, gmatch, match, sub = string.find, string.gmatch, string.match, string.sub
local random = math.random

local _M = {}

local MAX_PATH = 107

-- Check host, which is to be connected to. Returns true for an address, false for a name, or nil and an error text.
local function classify(host)
    if sub(host, 1, 5) == "unix:" then
        if #host == 5 then
            return nil, "no path in the unix domain socket"
        elseif #host - 5 > MAX_PATH then
            return nil, "too long path in the unix domain socket"
        end
        return true
    elseif host == "" then
        return nil, "no host"
    elseif address.parse(host, 0) then
        return true
    elseif sub(host, 1, 1) == "[" then
        return nil, find(host, "]", 1, true) and "invalid IPv6 address" or "invalid host"
    end
    return false
end

local function failed(host, code, text)
    return nil, host .. " could not be resolved (" .. code .. ": " .. text .. ")"
end

local function ask_system(host)
    local found, err = bridge.await.resolve(host, "A")
    if found and found[1] then
        return found[random(#found)]
    elseif err and find(err, "temporary", 1, true) then
        return failed(host, 2, "Server failure")
    end
    return failed(host, 3, "Host not found")
end

local servers_of = {} -- parsed `resolver` settings

local function parse_servers(text)
    local parsed = servers_of[text]
    if not parsed then
        parsed = {}
        for word in gmatch(text, "%S+") do
            if not find(word, "=", 1, true) then
                local host, port = match(word, "^(.-):(%d+)$")
                parsed[#parsed + 1] = host and { host, tonumber(port) } or word
            end
        end
        servers_of[text] = parsed
    end
    return parsed
end

local RCODES = {
    ["format error"] = { 1, "Format error" }, ["server failure"] = { 2, "Server failure" },
    ["name error"] = { 3, "Host not found" }, ["not implemented"] = { 4, "Unimplemented" },
    ["refused"] = { 5, "Operation refused" },
}

local function addresses(answers)
    local found = {}
    for _, answer in ipairs(answers) do
        if answer.address then
            found[#found + 1] = answer.address
        end
    end
    return found
end

local function ask_servers(host, settings)
    local resolver, err = require("resty.dns.resolver"):new({
        nameservers = parse_servers(settings.resolver),
        timeout = settings.resolver_timeout * 1000 / 2, retrans = 2,
    })
    if not resolver then
        return nil, host .. " could not be resolved (" .. err .. ")"
    end
    local answers = resolver:query(host, nil, {})
    if not answers then
        return failed(host, 110, "Operation timed out")
    elseif answers.errcode then
        local known = RCODES[answers.errstr] or { answers.errcode, "Unknown error" }
        return failed(host, known[1], known[2])
    end
    local found = addresses(answers)
    if #found == 0 then
        return failed(host, 3, "Host not found")
    end
    return found[random(#found)]
end

-- An address of host (itself, when it is one), chosen at random where there are several; waits for the answer.
-- settings: the ones in force. Returns it as text, or nil and an error text of ngx_lua.
function _M.resolve(host, settings)
    local is_address, err = classify(host)
    if is_address then
        return host
    elseif err then
        return nil, 'failed to parse host name "' .. host .. '": ' .. err
    end
    local resolver = settings.resolver
    if resolver == "" then
        return nil, 'no resolver defined to resolve "' .. host .. '"'
    elseif resolver == "system" then
        return ask_system(host)
    end
    return ask_servers(host, settings)
end

return _M
