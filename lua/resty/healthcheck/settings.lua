-- Owns what a health checker may be told: its options, their defaults and what they must be. Part of resty.healthcheck.
local clone = require "table.clone"

local error = error
local ipairs = ipairs
local match = string.match
local pairs = pairs
local tostring = tostring
local type = type

local LARGEST = 2 ^ 31 - 1
local MOST = 254 -- times in a row
local TYPES = { http = true, https = true, tcp = true }
local ANY = {} -- no default, of any type
local TIMES = {
    "active.healthy.successes", "active.unhealthy.tcp_failures", "active.unhealthy.http_failures",
    "active.unhealthy.timeouts", "passive.healthy.successes", "passive.unhealthy.tcp_failures",
    "passive.unhealthy.http_failures", "passive.unhealthy.timeouts",
}

local DEFAULTS = {
    name = ANY,
    shm_name = ANY,
    events_module = "resty.worker.events",
    checks = {
        active = {
            type = "http",
            timeout = 1, -- seconds
            concurrency = 10,
            http_path = "/",
            http_method = "GET",
            http_req_body = "",
            https_sni = ANY,
            https_verify_certificate = true,
            req_headers = { "" },
            healthy = {
                interval = 0, -- seconds; 0: no such checks
                http_statuses = { 200, 302 },
                successes = 2,
            },
            unhealthy = {
                interval = 0,
                http_statuses = { 429, 404, 500, 501, 502, 503, 504, 505 },
                tcp_failures = 2,
                timeouts = 3,
                http_failures = 5,
            },
        },
        passive = {
            type = "http",
            healthy = {
                http_statuses = {
                    200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
                    300, 301, 302, 303, 304, 305, 306, 307, 308,
                },
                successes = 5,
            },
            unhealthy = { http_statuses = { 429, 500, 503 }, tcp_failures = 2, timeouts = 7, http_failures = 5 },
        },
    },
}

local fill

-- value, or its default, copied where it is a table.
local function complete(value, default, path)
    if default == ANY then
        return value
    elseif value == nil then
        value = default
    elseif type(value) ~= type(default) then
        error(path .. ": invalid value", 0)
    elseif type(value) == "number" and (value < 0 or value > LARGEST) then
        error(path .. ": must be between 0 and " .. LARGEST, 0)
    end
    if type(value) ~= "table" then
        return value
    end
    return default[1] ~= nil and clone(value) or fill(value, default, path .. ".")
end

fill = function(given, defaults, path)
    local filled = {}
    for key, default in pairs(defaults) do
        filled[key] = complete(given[key], default, path .. key)
    end
    return filled
end

local function check_type(path, kind)
    if not TYPES[kind] then
        error(path .. " can only be 'http', 'https' or 'tcp', got '" .. tostring(kind) .. "'", 0)
    end
end

local function check_times(checks)
    for _, path in ipairs(TIMES) do
        local mode, side, name = match(path, "^(%w+)%.(%w+)%.([%w_]+)$")
        if checks[mode][side][name] > MOST then
            error("checks." .. path .. " must be at most " .. MOST, 0)
        end
    end
end

local function to_set(side)
    local set = {}
    for _, status in ipairs(side.http_statuses) do
        set[status] = true
    end
    side.http_statuses = set
end

-- opts: of resty.healthcheck's new(). Returns a copy, complete, with http_statuses as sets; raises what is wrong.
return function(opts)
    local filled = fill(opts, DEFAULTS, "")
    local checks = filled.checks
    if not filled.name then
        error("required option 'name' is missing", 0)
    elseif not filled.shm_name then
        error("required option 'shm_name' is missing", 0)
    end
    for mode, check in pairs(checks) do
        check_type("checks." .. mode .. ".type", check.type)
        to_set(check.healthy)
        to_set(check.unhealthy)
    end
    check_times(checks)
    return filled
end
