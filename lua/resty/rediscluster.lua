-- Owns the client of a redis cluster (API of lua-resty-redis-cluster): every command is a method, sent to the node
-- that serves its first argument, the key. Without a pipeline open, one object may serve many requests.
local command = require "resty.rediscluster.command"
local nodes = require "resty.rediscluster.nodes"
local pipeline = require "resty.rediscluster.pipeline"
local slot_of = require "resty.rediscluster.slot"
local topology = require "resty.rediscluster.topology"

local concat = table.concat
local ipairs = ipairs
local rawget = rawget
local select = select
local setmetatable = setmetatable
local tostring = tostring
local type = type

local ON_ALL_MASTERS = { flushall = true, flushdb = true }
local NOT_OF_A_CLUSTER = { config = true, shutdown = true }
local SCRIPTS = { eval = true, evalsha = true }

local _M = {}
local metatable = { __index = _M }

-- config: name: of the cluster, whose slots are known to all clients of that name; serv_list: array of {ip, port};
-- auth: password; connect_timeout, send_timeout, read_timeout, keepalive_timeout, max_connection_timeout:
-- milliseconds; keepalive_cons: size of a pool; max_redirection (5), max_connection_attempts (3);
-- enable_slave_read; connect_opts: of resty.redis. Returns the client once it knows the slots, or nil, err.
function _M.new(_, config)
    if not config.name then
        return nil, " redis cluster config name is empty"
    end
    if not config.serv_list or not config.serv_list[1] then
        return nil, " redis cluster config serv_list is empty"
    end
    local cluster, err = topology.of(config)
    if not cluster then
        return nil, err
    end
    return setmetatable({ _config = config }, metatable)
end

-- Ask for the slots anew. Returns true, or nil, err.
function _M:refresh_slots()
    return topology.refresh(self._config)
end

local function run_on_all_masters(config, name, ...)
    local errors = {}
    for _, node in ipairs(topology.of(config).masters) do
        local client, err = nodes.connect(config, node)
        local reply
        if client then
            reply, err = client[name](client, ...)
            nodes.release(config, client)
        end
        if not reply then
            errors[#errors + 1] = err
        end
    end
    return not errors[1], concat(errors, ";")
end

-- The key of eval(script, count of keys, key …, argument …), whose keys must be of one slot; or nil, err.
local function key_of_script(_, count, ...)
    if type(count) ~= "number" then
        return nil, "Cannot execute eval without keys number"
    end
    if count == 0 then
        return "no_key"
    end
    local first = tostring((...))
    for i = 2, count do
        if slot_of(tostring((select(i, ...)))) ~= slot_of(first) then
            return nil, "Cannot execute eval with more than one keys for redis cluster"
        end
    end
    return first
end

local function run(self, name, ...)
    if NOT_OF_A_CLUSTER[name] then
        return nil, "command not supported"
    end
    local key = ...
    if SCRIPTS[name] then
        local err
        key, err = key_of_script(...)
        if not key then
            return nil, err
        end
    end
    local requests = rawget(self, "_requests")
    if requests then
        requests[#requests + 1] = { command = name, key = key, n = select("#", ...), ... }
        return nil
    end
    if ON_ALL_MASTERS[name] then
        return run_on_all_masters(self._config, name, ...)
    end
    return command.run(self._config, nil, key, name, ...)
end

-- Commands are kept from here on until commit_pipeline().
function _M:init_pipeline()
    self._requests = {}
end

function _M:cancel_pipeline()
    self._requests = nil
end

-- Send the kept commands. Returns their replies (an error of redis is {false, text}), or nil, err; nothing when
-- there are none.
function _M:commit_pipeline()
    local requests = rawget(self, "_requests")
    self._requests = nil
    if not requests or not requests[1] then
        return nil
    end
    return pipeline.run(self._config, requests)
end

return setmetatable(_M, {
    __index = function(_, name)
        local function method(self, ...)
            return run(self, name, ...)
        end
        _M[name] = method
        return method
    end,
})
