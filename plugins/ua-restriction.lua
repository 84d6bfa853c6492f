-- Owns who may use a route by the User-Agent that the request names. Configuration, behaviour and messages are those of
-- APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local compile = require("resty.core.regex").re_match_compile

local find = ngx.re.find
local ipairs = ipairs
local match = string.match
local type = type

local expressions = { type = "array", minItems = 1, items = { type = "string", minLength = 1 } }

local schema = {
    type = "object",
    properties = {
        bypass_missing = { type = "boolean", default = false },
        allowlist = expressions,
        denylist = expressions,
        message = { type = "string", minLength = 1, maxLength = 1024, default = "Not allowed" },
    },
    oneOf = { { required = { "allowlist" } }, { required = { "denylist" } } },
}

local _M = { version = 0.1, priority = 2999, name = "ua-restriction", schema = schema }

local function check_expressions(list)
    for _, expression in ipairs(list or {}) do
        local ok, err = compile(expression, "j")
        if not ok then
            return false, err
        end
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if ok then
        ok, err = check_expressions(conf.allowlist)
    end
    if ok then
        ok, err = check_expressions(conf.denylist)
    end
    return ok, err
end

local function matches(agent, expression_list)
    agent = match(agent, "^%s*(.-)%s*$")
    for i = 1, #expression_list do
        if find(agent, expression_list[i], "jo") then
            return true
        end
    end
    return false
end

-- May this one pass?
local function passes(conf, agent)
    if conf.allowlist then
        return matches(agent, conf.allowlist)
    end
    return not matches(agent, conf.denylist)
end

-- Of several fields an allowed one is enough, and so is a denied one.
local function all_pass(conf, agents)
    local is_allowlist = conf.allowlist ~= nil
    for _, agent in ipairs(agents) do
        if passes(conf, agent) == is_allowlist then
            return is_allowlist
        end
    end
    return not is_allowlist
end

function _M.access(conf, ctx)
    local agent = core.request.headers(ctx)["User-Agent"]
    local ok
    if not agent then
        ok = conf.bypass_missing
    elseif type(agent) == "table" then
        ok = all_pass(conf, agent)
    else
        ok = passes(conf, agent)
    end
    if not ok then
        return 403, { message = conf.message }
    end
end

return _M
