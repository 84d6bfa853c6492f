-- Owns the schema of an upstream's health checks.
local common = require "apisix.schema_def.common"

local TYPE = { type = "string", enum = { "http", "https", "tcp" }, default = "http" }

local function statuses(default)
    return {
        type = "array",
        minItems = 1,
        uniqueItems = true,
        items = { type = "integer", minimum = 200, maximum = 599 },
        default = default,
    }
end

-- How often in a row something has to happen.
local function times(minimum, default)
    return { type = "integer", minimum = minimum, maximum = 254, default = default }
end

-- Seconds between two probes.
local INTERVAL = { type = "integer", minimum = 1, default = 1 }

local _M = {}

_M.active = {
    type = "object",
    properties = {
        type = TYPE,
        timeout = { type = "number", default = 1 },
        concurrency = { type = "integer", default = 10 },
        host = common.host,
        port = common.port,
        http_method = { type = "string", enum = common.method.enum, default = "GET" },
        http_path = { type = "string", default = "/" },
        http_req_body = { type = "string", default = "" },
        https_verify_certificate = { type = "boolean", default = true },
        req_headers = { type = "array", minItems = 1, items = { type = "string" } },
        healthy = {
            type = "object",
            properties = {
                interval = INTERVAL,
                http_statuses = statuses { 200, 302 },
                successes = times(1, 2),
            },
        },
        unhealthy = {
            type = "object",
            properties = {
                interval = INTERVAL,
                http_statuses = statuses { 429, 404, 500, 501, 502, 503, 504, 505 },
                http_failures = times(1, 5),
                tcp_failures = times(1, 2),
                timeouts = times(1, 3),
            },
        },
    },
}

_M.passive = {
    type = "object",
    properties = {
        type = TYPE,
        healthy = {
            type = "object",
            properties = {
                http_statuses = statuses {
                    200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
                    300, 301, 302, 303, 304, 305, 306, 307, 308,
                },
                successes = times(0, 5),
            },
        },
        unhealthy = {
            type = "object",
            properties = {
                http_statuses = statuses { 429, 500, 503 },
                http_failures = times(0, 5),
                tcp_failures = times(0, 2),
                timeouts = times(0, 7),
            },
        },
    },
}

_M.checks = {
    type = "object",
    properties = { active = _M.active, passive = _M.passive },
    anyOf = {
        { required = { "active" } },
        { required = { "active", "passive" } },
    },
}

return _M
