-- Owns the breaking of circuits: after failures in a row the upstream is left alone for a while, 2, 4, 8 … seconds.
-- Configuration, behaviour and messages are those of APISIX 3.18's plugin of this name.
local core = require "apisix.core"

local array_find = core.table.array_find
local error = error
local floor = math.floor
local ipairs = ipairs
local max, min = math.max, math.min
local time = ngx.time

local NAME = "api-breaker"
local HEALTHY, UNHEALTHY, BROKEN_AT = "healthy-", "unhealthy-", "unhealthy-lasttime"

local counts = ngx.shared["plugin-" .. NAME]
if not counts then
    error("failed to get ngx.shared dict when load plugin " .. NAME)
end

-- Statuses that count, and how many of them in a row.
local function side(lowest, highest, status, times)
    return {
        type = "object",
        properties = {
            http_statuses = {
                type = "array",
                minItems = 1,
                items = { type = "integer", minimum = lowest, maximum = highest },
                uniqueItems = true,
                default = { status },
            },
            [times] = { type = "integer", minimum = 1, default = 3 },
        },
        default = { http_statuses = { status }, [times] = 3 },
    }
end

local text = { type = "string", minLength = 1 }

local schema = {
    type = "object",
    properties = {
        break_response_code = { type = "integer", minimum = 200, maximum = 599 },
        break_response_body = { type = "string" },
        break_response_headers = {
            type = "array",
            items = { type = "object", properties = { key = text, value = text }, required = { "key", "value" } },
        },
        max_breaker_sec = { type = "integer", minimum = 3, default = 300 },
        unhealthy = side(500, 599, 500, "failures"),
        healthy = side(200, 499, 200, "successes"),
    },
    required = { "break_response_code" },
}

local _M = { version = 0.1, priority = 1005, name = NAME, schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

-- What is counted together: the requests to one host and path.
local function circuit_of(ctx)
    return core.request.get_host(ctx) .. ctx.var.uri
end

local function get(name, key)
    local value, err = counts:get(key)
    if err then
        core.log.warn("failed to get ", name, ": ", key, " err: ", err)
    end
    return value
end

local function answer(conf, ctx)
    local body = conf.break_response_body
    if body then
        for _, header in ipairs(conf.break_response_headers or {}) do
            core.response.add_header(header.key, (core.utils.resolve_var(header.value, ctx.var)))
        end
    end
    return conf.break_response_code, body
end

function _M.access(conf, ctx)
    local circuit = circuit_of(ctx)
    local failures = get("unhealthy_key", UNHEALTHY .. circuit)
    local broken_at = failures and get("lasttime_key", BROKEN_AT .. circuit)
    if not broken_at then
        return
    end
    local times = max(floor(failures / conf.unhealthy.failures), 1)
    if broken_at + min(2 ^ times, conf.max_breaker_sec) >= time() then
        return answer(conf, ctx)
    end
end

local function count(name, key)
    local value, err = counts:incr(key, 1, 0)
    if not value then
        core.log.warn("failed to incr ", name, ": ", key, " err: ", err)
    end
    return value
end

local function note_failure(conf, circuit)
    local failures = count("unhealthy_key", UNHEALTHY .. circuit)
    counts:delete(HEALTHY .. circuit)
    if failures and failures % conf.unhealthy.failures == 0 then
        counts:set(BROKEN_AT .. circuit, time(), conf.max_breaker_sec)
    end
end

local function note_success(conf, circuit)
    if not get("unhealthy_key", UNHEALTHY .. circuit) then
        return
    end
    local successes = count("healthy_key", HEALTHY .. circuit)
    if successes and successes >= conf.healthy.successes then
        counts:delete(BROKEN_AT .. circuit)
        counts:delete(UNHEALTHY .. circuit)
        counts:delete(HEALTHY .. circuit)
    end
end

function _M.log(conf, ctx)
    local status = core.response.get_upstream_status(ctx)
    if not status then
        return
    elseif array_find(conf.unhealthy.http_statuses, status) then
        return note_failure(conf, circuit_of(ctx))
    elseif array_find(conf.healthy.http_statuses, status) then
        return note_success(conf, circuit_of(ctx))
    end
end

return _M
