-- Owns the splitting of traffic between upstreams, by conditions and by weights. Configuration, behaviour and messages
-- are those of APISIX 3.18's plugin of this name; what a rule comes to is made in traffic-split/rules.lua.
local core = require "apisix.core"
local expr = require "resty.expr.v1"
local rules = require "apisix.plugins.traffic-split.rules"
local schema_def = require "apisix.schema_def"
local upstream = require "apisix.upstream"

local ipairs = ipairs

local weighted_upstream = {
    type = "object",
    properties = {
        upstream_id = schema_def.id_schema,
        upstream = schema_def.upstream,
        weight = { type = "integer", description = "share of the requests", default = 1, minimum = 0 },
    },
}

local rule = {
    type = "object",
    properties = {
        match = { type = "array", items = { type = "object", properties = { vars = { type = "array" } } } },
        weighted_upstreams = {
            type = "array",
            items = weighted_upstream,
            default = { { weight = 1 } }, -- the route's own upstream
            minItems = 1,
            maxItems = 20,
        },
    },
}

local schema = { type = "object", properties = { rules = { type = "array", items = rule } } }

local _M = { version = 0.1, priority = 966, name = "traffic-split", schema = schema }

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    for _, each in ipairs(conf.rules or {}) do
        for _, condition in ipairs(each.match or {}) do
            ok, err = expr.new(condition.vars)
            if not ok then
                return false, "failed to validate the 'vars' expression: " .. err
            end
        end
    end
    return true
end

-- The first rule that holds, made ready; nothing when none does. Returns nil, err when a rule names an upstream that
-- is not there.
local function find_rule(conf, ctx)
    for _, each in ipairs(conf.rules) do
        local made = rules.of(each)
        for _, id in ipairs(made.ids) do
            if not upstream.get_by_id(id) then
                return nil, "failed to fetch upstream info by upstream id: " .. id
            end
        end
        if made:holds(ctx.var) then
            return made
        end
    end
end

function _M.access(conf, ctx)
    if not conf.rules then
        return
    end
    local found, err = find_rule(conf, ctx)
    if err then
        return 500, err
    elseif not found then
        return
    end
    local choice = found.balancer:find()
    ctx.upstream_id = choice.upstream_id
    if choice.upstream and not choice.upstream_id then
        choice:set(ctx)
    end
end

return _M
