-- Owns the changing of answers that the gateway makes itself, by Lua chunks of the configuration's. Configuration,
-- behaviour and messages are those of APISIX 3.18's plugin of this name. Must never touch an upstream's response.
local core = require "apisix.core"

local ipairs = ipairs
local load = load
local pcall = pcall

local schema = {
    type = "object",
    properties = {
        functions = { type = "array", items = { type = "string" } },
    },
    required = { "functions" },
}

local _M = { version = 0.1, priority = 22950, name = "exit-transformer", schema = schema }

local compiled = core.lrucache.new({ ttl = 300, count = 512 })

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    for _, source in ipairs(conf.functions) do
        local chunk
        chunk, err = load(source)
        if not chunk then
            return false, err
        end
    end
    return true
end

-- code, body, headers: the answer so far, which stays as it is if the chunk fails. Returns what takes its place.
local function transform(code, body, headers, source)
    local chunk, err = compiled(source, nil, load, source)
    if not chunk then
        core.log.error("failed to load lua code: ", err)
        return code, body, headers
    end
    local ok, new_code, new_body, new_headers = pcall(chunk, code, body, headers)
    if not ok then
        core.log.error("failed to run lua code: ", new_code)
        return code, body, headers
    end
    return new_code, new_body, new_headers
end

-- Said before any plugin may answer: this one is nearly the first.
function _M.rewrite(conf)
    for _, source in ipairs(conf.functions) do
        core.response.exit_insert_callback(transform, source)
    end
end

return _M
