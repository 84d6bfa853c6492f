-- Owns the refusal of requests whose URI, query included, matches one of a list of regular expressions. Configuration,
-- behaviour and messages are those of APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local compile = require("resty.core.regex").re_match_compile

local concat = table.concat
local find = ngx.re.find
local ipairs = ipairs
local setmetatable = setmetatable

local schema = {
    type = "object",
    properties = {
        block_rules = {
            type = "array",
            uniqueItems = true,
            items = { type = "string", minLength = 1, maxLength = 4096 },
        },
        rejected_code = { type = "integer", minimum = 200, default = 403 },
        rejected_msg = { type = "string", minLength = 1 },
        case_insensitive = { type = "boolean", default = false },
    },
    required = { "block_rules" },
}

local _M = { version = 0.1, priority = 2900, name = "uri-blocker", schema = schema }

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    for _, rule in ipairs(conf.block_rules) do
        ok, err = compile(rule, "j")
        if not ok then
            return false, err
        end
    end
    return true
end

local rules = setmetatable({}, { __mode = "k" }) -- configuration -> all its rules as one expression

local function rule_of(conf)
    local rule = rules[conf]
    if not rule then
        rule = (conf.case_insensitive and "(?i)" or "") .. concat(conf.block_rules, "|")
        rules[conf] = rule
    end
    return rule
end

function _M.rewrite(conf, ctx)
    if find(ctx.var.request_uri, rule_of(conf), "jo") then
        return conf.rejected_code, conf.rejected_msg and { error_msg = conf.rejected_msg } or nil
    end
end

return _M
