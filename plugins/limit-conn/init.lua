-- Owns the limiting of a request by those under way: when it comes it is counted, delayed or rejected, and when it ends
-- it is counted off. Mirrors apisix.plugins.limit-conn.init.
local core = require "apisix.core"
local limiters = require "apisix.plugins.limit-conn.limiters"
local plugin = require "apisix.plugin"
local rules = require "apisix.plugins.limit-conn.rules"

local ipairs = ipairs
local sleep = core.sleep
local tablepool = core.tablepool

local SHORTEST = 0.001 -- seconds
local POOL = "plugin#limit-conn"

local _M = {}

local function fail(conf)
    if not conf.allow_degradation then
        return 500
    end
end

-- The counter's name, or nil, err.
local function counter_of(conf, key)
    local parent = conf._meta and conf._meta.parent
    if not parent or not parent.resource_key then
        return nil, "failed to generate key invalid parent: " .. core.json.encode(parent)
    end
    local counter = parent.resource_key .. ":" .. plugin.conf_version(conf) .. ":" .. key
    return conf._vid and counter .. ":" .. conf._vid or counter -- one of the actions of a workflow
end

-- The request holds a place with this limiter until it ends. mark: what the limiter knows it by there, or nil.
local function note(ctx, limiter, counter, mark)
    local held = ctx.limit_conn
    if not held then
        held = tablepool.fetch(POOL, 0, 6)
        ctx.limit_conn = held
        held.n = 0
    end
    local n = held.n
    held[n + 1], held[n + 2], held[n + 3] = limiter, counter, mark
    held.n = n + 3
end

local function apply(conf, rule, ctx)
    local limiter, err = limiters.of(conf, rule)
    if not limiter then
        core.log.error("failed to instantiate a resty.limit.conn object: ", err)
        return fail(conf)
    end
    local counter
    counter, err = counter_of(conf, rule.key)
    if not counter then
        core.log.error(err)
        return fail(conf)
    end
    local delay, mark
    delay, err, mark = limiter:enter(counter)
    if not delay then
        if err == "rejected" then
            return conf.rejected_code, conf.rejected_msg and { error_msg = conf.rejected_msg }
        end
        core.log.error("failed to limit conn: ", err)
        return fail(conf)
    end
    note(ctx, limiter, counter, mark)
    if delay >= SHORTEST then
        sleep(delay)
    end
end

-- A request comes. Returns nothing when it may go on, else status and body of the answer. May wait.
function _M.increase(conf, ctx)
    local applying, err = rules.of(conf, ctx)
    if not applying or not applying[1] then
        core.log.error("failed to get limit conn rules: ", err)
        return fail(conf)
    end
    for _, rule in ipairs(applying) do
        local code, body = apply(conf, rule, ctx)
        if code then
            return code, body
        end
    end
end

-- A request ends.
function _M.decrease(_, ctx)
    local held = ctx.limit_conn
    if not held then
        return
    end
    ctx.limit_conn = nil
    for i = 1, held.n, 3 do
        local ok, err = held[i]:leave(held[i + 1], held[i + 2])
        if not ok then
            core.log.error("failed to record the connection leaving request: ", err)
        end
    end
    tablepool.release(POOL, held)
end

return _M
