-- Owns the rule that a credential is one consumer's alone. Must never read the store: it knows what this worker does.
-- Part of apisix.consumer.
local core = require "apisix.core"
local secret = require "apisix.secret"

local pairs = pairs
local tostring = tostring
local type = type

-- The attribute by which each authentication plugin finds its consumer.
local UNIQUE = {
    ["key-auth"] = "key",
    ["basic-auth"] = "username",
    ["jwt-auth"] = "key",
    ["hmac-auth"] = "key_id",
    ["ldap-auth"] = "user_dn",
    ["ldap-auth-advanced"] = "user_dn",
}

local function unique_value(name, conf)
    local attribute = UNIQUE[name]
    local value = attribute and type(conf) == "table" and conf[attribute]
    if type(value) ~= "string" then
        return nil
    elseif secret.is_secret_ref(value) then
        core.log.info("skip duplicate check for the ", attribute, " of plugin ", name,
            ": secret reference cannot be resolved at write time")
        return nil
    end
    return attribute, value
end

local function describe(owner)
    local consumer = "consumer: " .. owner.consumer_name
    return owner.credential_id and "credential: " .. owner.credential_id .. " of " .. consumer or consumer
end

-- find: find_consumer of apisix.consumer. The other arguments and what it returns: see check_duplicate_key() there.
return function(find, plugins, consumer_name, credential_id)
    for name, conf in pairs(plugins) do
        local attribute, value = unique_value(name, conf)
        local owner = attribute and find(name, attribute, value)
        local itself = owner and owner.consumer_name == consumer_name
            and (not credential_id or owner.credential_id == tostring(credential_id))
        if owner and not itself then
            return nil, "duplicate " .. attribute .. " of plugin " .. name .. " found with " .. describe(owner)
        end
    end
    return true
end
