-- Owns the definitions that the schemas of several resources share: identifiers, addresses, names, times.
-- Limits and patterns are those of APISIX 3.18.
local ipairs = ipairs

local OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
local IPV4 = OCTET .. [[(?:\.]] .. OCTET .. "){3}"
-- As lenient as APISIX's: ":/8" passes.
local IPV6 = "([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?"

local _M = {}

_M.id = {
    anyOf = {
        { type = "string", minLength = 1, maxLength = 64, pattern = [[^[a-zA-Z0-9-_.]+$]] },
        { type = "integer", minimum = 1 },
    },
}

-- A name, an address, "*" or a name that begins with "*".
_M.HOST_PATTERN = [[^\*$|^\*?[0-9a-zA-Z-._\[\]:]+$]]
_M.host = { type = "string", pattern = _M.HOST_PATTERN }

-- For anyOf: an address or a network.
_M.ip_kinds = {
    { title = "IPv4", type = "string", format = "ipv4" },
    { title = "IPv4/CIDR", type = "string", pattern = "^" .. IPV4 .. "/([12]?[0-9]|3[0-2])$" },
    { title = "IPv6", type = "string", format = "ipv6" },
    { title = "IPv6/CIDR", type = "string", pattern = "^" .. IPV6 .. "/[0-9]{1,3}$" },
}
_M.remote_addr = { type = "string", description = "address or network of the client", anyOf = _M.ip_kinds }

_M.uri = { type = "string", pattern = [=[^[^\/]+:\/\/([\da-zA-Z.-]+|\[[\da-fA-F:]+\])(:\d+)?]=] }

_M.port = { type = "integer", minimum = 1, maximum = 65535 }

-- Seconds since the epoch.
_M.timestamp = { type = "integer" }

_M.name = { type = "string", minLength = 1, maxLength = 256 }
_M.description = { type = "string", maxLength = 256 }

_M.label_value = { type = "string", minLength = 1, maxLength = 256, pattern = [[^\S+$]] }
_M.labels = {
    type = "object",
    description = "attributes to select resources by",
    patternProperties = { [".*"] = _M.label_value },
}

_M.method = {
    type = "string",
    description = "HTTP method",
    enum = { "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE" },
}

local seconds = { type = "number", exclusiveMinimum = 0 }
_M.timeout = {
    type = "object",
    properties = { connect = seconds, send = seconds, read = seconds },
    required = { "connect", "send", "read" },
}

_M.script = { type = "string", minLength = 10, maxLength = 102400 }
_M.certificate = { type = "string", minLength = 128, maxLength = 64 * 1024 }
_M.private_key = { type = "string", minLength = 64, maxLength = 64 * 1024 }

_M.plugins = { type = "object" }

--- 1 for what is in force, 0 for what is not.
function _M.status(of_what)
    return { type = "integer", description = of_what .. ": 1 enabled, 0 disabled", enum = { 1, 0 }, default = 1 }
end

--- The properties of a resource: those that each has, or those of them named in `fields`, and its `own`.
function _M.resource(own, fields)
    local all = {
        id = _M.id, name = _M.name, desc = _M.description, labels = _M.labels,
        create_time = _M.timestamp, update_time = _M.timestamp,
    }
    for _, field in ipairs(fields or { "id", "name", "desc", "labels", "create_time", "update_time" }) do
        if own[field] == nil then
            own[field] = all[field]
        end
    end
    return own
end

return _M
