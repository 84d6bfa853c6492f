-- Owns the finding of consumers by an attribute of their credentials, references to secrets resolved. Must never log
-- a credential. Part of apisix.consumer.
local core = require "apisix.core"
local secrets = require "apisix.plugin.secrets"

local ipairs = ipairs
local now = ngx.now
local setmetatable = setmetatable

local WEAK = { __mode = "k" }
local DEFAULT_INTERVAL = 60 -- seconds

local _M = {}

-- consumer -> a copy with the references in its credentials resolved: the same while their values are
local copies = setmetatable({}, WEAK)

-- Returns consumer or its copy, and whether it has references.
local function resolve(consumer)
    if not secrets.has_refs(consumer.auth_conf) then
        return consumer, false
    end
    local conf = secrets.resolve(consumer.auth_conf)
    local copy = copies[consumer]
    if not copy or copy.auth_conf ~= conf then
        copy = core.table.clone(consumer)
        copy.auth_conf = conf
        copies[consumer] = copy
    end
    return copy, true
end

-- Values of secrets are kept elsewhere (apisix.secret): how often they are asked for again is how long a failure is
-- remembered there.
local function next_look()
    local interval = core.table.try_read_attr(core.config.local_conf(), "apisix", "lru", "secret", "neg_ttl")
    return now() + (interval or DEFAULT_INTERVAL)
end

-- A consumer without the attribute, or with a reference that could not be resolved, is left out: anybody
-- could send the reference itself.
local function make(conf, attribute)
    local found, any_references = {}, false
    for _, node in ipairs(conf.nodes) do
        local consumer, has_references = resolve(node)
        any_references = any_references or has_references
        local value = consumer.auth_conf[attribute]
        if value == nil then
            core.log.error("missing consumer auth credential '", attribute, "', skipping consumer: ",
                consumer.consumer_name)
        elseif has_references and secrets.has_refs(consumer.auth_conf) then
            core.log.error("failed to resolve secret reference in consumer auth credential, skipping consumer: ",
                consumer.consumer_name)
        else
            found[value] = consumer
        end
    end
    return { found = found, expires = any_references and next_look() }
end

-- conf -> attribute -> {found = value -> consumer, expires = time, false for never}
local lookups = setmetatable({}, WEAK)

-- Returns value -> consumer for an attribute of the plugin's consumer configuration. conf: {nodes = array of
-- consumers}, which must not change. May yield; one task looks again at what has expired, others go on with it.
function _M.by_attribute(conf, attribute)
    local of_conf = lookups[conf]
    if not of_conf then
        of_conf = {}
        lookups[conf] = of_conf
    end
    local lookup = of_conf[attribute]
    if lookup and (not lookup.expires or now() < lookup.expires) then
        return lookup.found
    end
    if lookup then
        lookup.expires = next_look()
    end
    lookup = make(conf, attribute)
    of_conf[attribute] = lookup
    return lookup.found
end

return _M
