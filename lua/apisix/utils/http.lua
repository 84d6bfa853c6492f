-- Owns the choice of the client for outgoing HTTP by its name in a configuration. Here both names mean resty.http,
-- on this runtime's own sockets: the C client that the other one is elsewhere has the same interface. A module of that
-- name in the user's tree is used instead. Mirrors apisix.utils.http.
local core = require "apisix.core"

local pcall = pcall
local require = require
local tostring = tostring
local type = type

local FFI_CLIENT = "ngx_http_ffi_client"
local LUA_CLIENT = "lua-resty-http"
local MODULES = {
    [FFI_CLIENT] = "resty.ngx_http_ffi_client",
    [LUA_CLIENT] = "resty.http",
}

local _M = {
    version = 0.1,
    FFI_CLIENT = FFI_CLIENT,
    LUA_RESTY_HTTP = LUA_CLIENT,
    DEFAULT_CLIENT = FFI_CLIENT,
    -- of a configuration's field that names a client
    client_schema = { type = "string", enum = { FFI_CLIENT, LUA_CLIENT }, default = FFI_CLIENT },
}

local clients = {}

local function load_client(name)
    local module_name = MODULES[name]
    if not module_name then
        return nil, "unknown http client: " .. tostring(name)
    end
    local found, client = pcall(require, module_name)
    if not found and name == FFI_CLIENT then
        found, client = pcall(require, MODULES[LUA_CLIENT])
    end
    if not found or type(client) ~= "table" then
        local err = module_name .. " is not available: " .. tostring(client)
        core.log.error(err)
        return nil, err
    end
    if name == FFI_CLIENT and client.set_resolver then
        client.set_resolver(core.resolver.parse_domain)
    end
    clients[name] = client
    return client
end

-- Returns a client with the interface of resty.http, or nil, err. name: default DEFAULT_CLIENT.
function _M.new(name)
    name = name or _M.DEFAULT_CLIENT
    local client, err = clients[name], nil
    if not client then
        client, err = load_client(name)
    end
    if not client then
        return nil, err
    end
    return client.new()
end

return _M
