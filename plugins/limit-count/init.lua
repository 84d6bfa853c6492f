-- Owns the limiting of a request: which limits apply, what they say, what the client is told. Other plugins
-- (ai-rate-limiting, workflow of APISIX) call it with their own name and cost. Mirrors apisix.plugins.limit-count.init.
local check = require "apisix.plugins.limit-count.check"
local core = require "apisix.core"
local limiters = require "apisix.plugins.limit-count.limiters"
local plugin = require "apisix.plugin"
local rules = require "apisix.plugins.limit-count.rules"
local schemas = require "apisix.plugins.limit-count.schema"

local floor = math.floor
local get_phase = ngx.get_phase
local gsub = string.gsub
local ipairs = ipairs
local timer_at = ngx.timer.at

local _M = {
    schema = schemas.schema,
    metadata_schema = schemas.metadata,
    policy_to_additional_properties = schemas.policies,
    check_schema = check,
}

-- The counter's name. It follows from the object that the configuration stands in and from what the configuration
-- says, so that a change elsewhere does not set the counter back. Returns nil, err if that object is not known.
local function counter_of(conf, key)
    if conf.group then
        return conf.group .. ":" .. key
    end
    local parent = conf._meta and conf._meta.parent
    if not parent or not parent.resource_key then
        return nil, "failed to generate key invalid parent: " .. core.json.encode(parent)
    end
    local counter = parent.resource_key .. ":" .. plugin.conf_version(conf) .. ":" .. key
    if conf._vid then -- one of the actions of a workflow
        counter = counter .. ":" .. conf._vid
    end
    return counter
end

-- "X-RateLimit-Limit" -> "X-prefix-RateLimit-Limit"
local function header_name(field, conf, metadata, prefix)
    local name = conf[field] or metadata[field]
    if not prefix then
        return name
    end
    return (gsub(name, "RateLimit%-", function(found)
        return prefix .. "-" .. found
    end, 1))
end

local function tell_client(conf, rule, name, remaining, reset)
    if not conf.show_limit_quota_header or get_phase() == "log" then
        return
    end
    local item = plugin.plugin_metadata(name)
    local metadata = item and item.value or schemas.headers
    local prefix = rule.header_prefix
    core.response.set_header(
        header_name("limit_header", conf, metadata, prefix), rule.count,
        header_name("remaining_header", conf, metadata, prefix), remaining,
        header_name("reset_header", conf, metadata, prefix), reset
    )
end

-- What is only known after the response still counts, but nobody waits for it.
local function commit_later(limiter, counter, cost)
    local ok, err = timer_at(0, function()
        local remaining, failure = limiter:commit(counter, cost)
        if not remaining then
            core.log.error("failed to sync limit count in log phase: ", failure)
        end
    end)
    if not ok then
        core.log.error("failed to schedule timer: ", err)
    end
end

local function fail(conf, body)
    if not conf.allow_degradation then
        return 500, body
    end
end

-- Ask the limiter. Returns as its incoming(): 0, remaining, reset; or nil, err, reset.
local function count(limiter, counter, cost, dry_run)
    local ok, remaining, reset = limiter:incoming(counter, dry_run and 0 or cost)
    if dry_run and ok and remaining < cost then
        ok, remaining = nil, "rejected"
    end
    return ok, remaining, reset and floor(reset * 100) / 100
end

local function apply(conf, rule, ctx, name, cost, dry_run)
    local limiter, err = limiters.get(conf, rule, ctx, name)
    if not limiter then
        core.log.error("failed to fetch limit.count object: ", err)
        return fail(conf)
    end
    local counter
    counter, err = counter_of(conf, rule.key)
    if not counter then
        core.log.error(err)
        return 500
    end
    if limiter.is_remote and get_phase() == "log" then
        return commit_later(limiter, counter, dry_run and 0 or cost)
    end
    local ok, remaining, reset = count(limiter, counter, cost, dry_run)
    core.utils.set_var_rate_limiting_info(ctx, counter, rule.count, remaining, reset)
    if ok then
        return tell_client(conf, rule, name, remaining, reset)
    elseif remaining ~= "rejected" then
        core.log.error("failed to limit count: ", remaining)
        return fail(conf, { error_msg = "failed to limit count" })
    end
    tell_client(conf, rule, name, 0, reset)
    return conf.rejected_code, conf.rejected_msg and { error_msg = conf.rejected_msg }
end

-- Count the request, as `cost` requests, against all limits of conf. name: of the plugin, which names the shared
-- dictionaries and the metadata. dry_run: only tell what would be. Returns nothing when the request may go on,
-- else status and body of the answer.
function _M.rate_limit(conf, ctx, name, cost, dry_run)
    local applying, err = rules.of(conf, ctx)
    if not applying or not applying[1] then
        core.log.error("failed to get rate limit rules: ", err)
        return fail(conf)
    end
    for _, rule in ipairs(applying) do
        local code, body = apply(conf, rule, ctx, name, cost, dry_run)
        if code then
            return code, body
        end
    end
end

return _M
