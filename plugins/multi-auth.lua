-- Owns authentication by whichever of several plugins succeeds first. Configuration, behaviour and messages are those
-- of APISIX 3.18's plugin of this name. Must never tell the client which one failed, and why.
local core = require "apisix.core"
local plugin = require "apisix.plugin"

local ipairs, pairs, type = ipairs, pairs, type

local schema = {
    type = "object",
    properties = {
        auth_plugins = { type = "array", minItems = 2, items = { type = "object" } },
    },
    required = { "auth_plugins" },
}

local _M = { version = 0.1, priority = 2600, type = "auth", name = "multi-auth", schema = schema }

local function check_one(name, conf)
    local object = plugin.get(name)
    if not object then
        return false, name .. " plugin did not found"
    elseif object.type ~= "auth" then
        return false, name .. " plugin is not supported"
    end
    local ok, err = object.check_schema(conf)
    if not ok then
        return false, "plugin " .. name .. " check schema failed: " .. err
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    for _, entry in ipairs(conf.auth_plugins) do
        for name, its_conf in pairs(entry) do
            ok, err = check_one(name, its_conf)
            if not ok then
                return false, err
            end
        end
    end
    return true
end

-- Try one plugin. Returns nil if it let the request in, else why it did not.
local function try(name, conf, ctx)
    local code, body = plugin.get(name).rewrite(conf, ctx)
    if code == nil then
        return nil
    end
    local reason = type(body) == "table" and body.message or body or ""
    return name .. " failed to authenticate the request, code: " .. code .. ". error: " .. reason
end

function _M.rewrite(conf, ctx)
    local reasons = {}
    for _, entry in ipairs(conf.auth_plugins) do
        for name, its_conf in pairs(entry) do
            local reason = try(name, its_conf, ctx)
            if not reason then
                if reasons[1] then
                    core.response.set_header("WWW-Authenticate", nil) -- of those that had failed
                end
                return
            end
            reasons[#reasons + 1] = reason
        end
    end
    for _, reason in ipairs(reasons) do
        core.log.warn(reason)
    end
    return 401, { message = "Authorization Failed" }
end

return _M
