-- Owns the values behind references in configurations: "$secret://<manager>/<id>/<key>", looked up by the
-- manager's module with its settings in /secrets, and "$env://NAME". Must never log a value.
-- Mirrors apisix.secret.
local core = require "apisix.core"

local byte = string.byte
local find = string.find
local match = string.match
local pairs = pairs
local pcall = pcall
local require = require
local sub = string.sub
local type = type
local upper = string.upper

local PREFIX = "$secret://"
local ENV_PREFIX = core.env.PREFIX
local DOLLAR = byte("$")

local secrets

local _M = {}

local function has_prefix(text, prefix)
    return sub(text, 1, #prefix) == prefix
end

local function is_env(text)
    return upper(sub(text, 1, #ENV_PREFIX)) == ENV_PREFIX
end

local function manager_module(name)
    if not find(name, "^[%w_-]+$") then
        return nil
    end
    local ok, module = pcall(require, "apisix.secret." .. name)
    if not ok and not find(module, "module 'apisix.secret." .. name .. "' not found", 1, true) then
        core.log.error("failed to load the secret manager ", name, ": ", module)
    end
    return ok and module or nil
end

local function check_secret(conf)
    local manager = match(conf.id or "", "^([^/]*)/")
    if not manager then
        return false, "no secret id"
    end
    local module = manager_module(manager)
    if not module then
        return false, "secret manager not exits, manager: " .. manager
    end
    return core.schema.check(module.schema, conf)
end

-- Begin to watch /secrets.
function _M.init_worker()
    local err
    secrets, err = core.config.new("/secrets", { automatic = true, checker = check_secret })
    if not secrets then
        core.log.error("failed to sync /secrets: ", err)
    end
end

-- Returns all items of /secrets and their version.
function _M.secrets()
    if not secrets then
        return nil, nil
    end
    return secrets.values, secrets.conf_version
end

-- Is it a reference at all? Returns true, or false and the reason.
function _M.check_secret_uri(uri)
    if type(uri) ~= "string" then
        return false, "error secret_uri type: " .. type(uri)
    end
    if not has_prefix(uri, PREFIX) and not is_env(uri) then
        return false, "error secret_uri prefix: " .. uri
    end
    return true
end

local function parse(uri)
    local ok, err = _M.check_secret_uri(uri)
    if not ok then
        return nil, err
    end
    local manager, rest = match(sub(uri, #PREFIX + 1), "^([^/]*)/(.*)$")
    if not manager then
        return nil, "error format: no secret manager"
    end
    local id, key = match(rest, "^([^/]*)/(.*)$")
    if not id then
        return nil, "error format: no secret conf id"
    end
    if key == "" then
        return nil, "error format: no secret key id"
    end
    return manager, id, key
end

-- The value behind "$secret://…", or nil and an error. May yield.
function _M.fetch_by_uri(uri)
    local manager, id, key = parse(uri)
    if not manager then
        return nil, id
    end
    local item = secrets and secrets:get(manager .. "/" .. id)
    if not item or not item.value then
        return nil, "no secret conf, secret_uri: " .. uri
    end
    local module = manager_module(manager)
    if not module then
        return nil, "no secret manager: " .. manager
    end
    local value, err = module.get(item.value, key)
    if err then
        return nil, err
    end
    return value
end

local function setting(name, default)
    return core.table.try_read_attr(core.config.local_conf(), "apisix", "lru", "secret", name) or default
end

-- Made at first use: config.yaml is not known when this file is loaded.
local cached

local function cache()
    if not cached then
        cached = core.lrucache.new({
            ttl = setting("ttl", 300), count = setting("count", 512),
            neg_ttl = setting("neg_ttl", 60), neg_count = setting("neg_count", 512),
            invalid_stale = true, refresh_stale = true,
        })
    end
    return cached
end

local function fetch(uri, use_cache)
    local source
    if byte(uri) ~= DOLLAR then
        return nil
    elseif is_env(uri) then
        source = core.env.fetch_by_uri
    elseif has_prefix(uri, PREFIX) then
        source = _M.fetch_by_uri
    else
        return nil
    end
    if not use_cache then
        return source(uri)
    end
    return cache()(uri, secrets and secrets.conf_version or "", source, uri)
end

-- An unresolved reference stays, and is told of: it would be used as a password or a key as it stands.
local function fetch_one(field, reference, use_cache)
    local value, err = fetch(reference, use_cache)
    if value == nil and _M.is_secret_ref(reference) then
        core.log.error("failed to resolve secret reference: ", reference, ", field: ", field, ", err: ",
            err or "no value")
    end
    return value == nil and reference or value
end

local function replace(conf, use_cache)
    for k, v in pairs(conf) do
        if type(v) == "string" then
            conf[k] = fetch_one(k, v, use_cache)
        elseif type(v) == "table" then
            replace(v, use_cache)
        end
    end
    return conf
end

-- A deep copy of conf with its references replaced by their values; nil if conf is no table. May yield.
function _M.fetch_secrets(conf, use_cache)
    if type(conf) ~= "table" then
        return nil
    end
    return replace(core.table.deepcopy(conf), use_cache)
end

-- Is value a reference? With schema: one that stands where this JSON schema wants a string. It is the hook
-- by which validation passes references over.
function _M.is_secret_ref(value, schema)
    if type(value) ~= "string" or byte(value) ~= DOLLAR then
        return false
    end
    if schema and schema.type and schema.type ~= "string" then
        return false
    end
    return has_prefix(value, PREFIX) or is_env(value)
end

-- Call visit(reference) for each in conf until it returns true; returns whether it did.
local function each_ref(conf, visit, visited)
    if visited[conf] then
        return false
    end
    visited[conf] = true
    for _, v in pairs(conf) do
        if type(v) == "table" then
            if each_ref(v, visit, visited) then
                return true
            end
        elseif _M.is_secret_ref(v) and visit(v) then
            return true
        end
    end
    return false
end

local function found()
    return true
end

-- Is there a reference anywhere in conf?
function _M.has_secret_ref(conf)
    return type(conf) == "table" and each_ref(conf, found, {})
end

-- Returns reference -> value for all in conf. May yield.
function _M.collect_secret_values(conf, use_cache)
    local values = {}
    if type(conf) == "table" then
        each_ref(conf, function(reference)
            values[reference] = fetch(reference, use_cache)
        end, {})
    end
    return values
end

return _M
