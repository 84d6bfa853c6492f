-- Owns plugin configurations with $secret:// or $env:// references resolved: one copy for as long as the
-- values behind the references stay the same, because plugins key their own caches by the identity of
-- their configuration. Must never change a configuration in place.
local secret = require "apisix.secret"

local pairs = pairs
local setmetatable = setmetatable

-- conf -> {values, conf}
local resolved = setmetatable({}, { __mode = "k" })

local function same(a, b)
    for k, v in pairs(a) do
        if b[k] ~= v then
            return false
        end
    end
    for k in pairs(b) do
        if a[k] == nil then
            return false
        end
    end
    return true
end

local _M = {}

_M.has_refs = secret.has_secret_ref

-- Returns conf with its references replaced. For configurations that have some (has_refs). May yield.
function _M.resolve(conf)
    local values = secret.collect_secret_values(conf, true)
    local known = resolved[conf]
    if not known or not same(known.values, values) then
        known = { values = values, conf = secret.fetch_secrets(conf, true) }
        resolved[conf] = known
    end
    return known.conf
end

return _M
