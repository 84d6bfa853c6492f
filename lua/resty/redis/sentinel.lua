-- Owns what is asked of a redis sentinel (API of lua-resty-redis-connector's resty.redis.sentinel).
-- Must never connect to anything.
local null = ngx.null

local find = string.find
local ipairs = ipairs
local type = type

local _M = { _VERSION = "0.12.0" }

-- sentinel: a connected resty.redis. Returns {host, port} of the master, or nil and "invalid master name" or
-- an error text.
function _M.get_master(sentinel, master_name)
    local reply, err = sentinel:sentinel("get-master-addr-by-name", master_name)
    if reply == null then
        return nil, "invalid master name"
    end
    if not reply or not reply[2] then
        return nil, err
    end
    return { host = reply[1], port = reply[2] }
end

local function is_up(slave)
    local flags = slave.flags or ""
    return slave["master-link-status"] == "ok" and not find(flags, "s_down", 1, true)
        and not find(flags, "disconnected", 1, true)
end

-- Returns an array of the slaves that are up, each with all that the sentinel knows of it and host; or nil and
-- "no slaves available" or an error text.
function _M.get_slaves(sentinel, master_name)
    local reply, err = sentinel:sentinel("slaves", master_name)
    if type(reply) ~= "table" then
        return nil, err
    end
    local slaves = {}
    for _, fields in ipairs(reply) do
        local slave = sentinel:array_to_hash(fields)
        slave.host = slave.ip
        if is_up(slave) then
            slaves[#slaves + 1] = slave
        end
    end
    if not slaves[1] then
        return nil, "no slaves available"
    end
    return slaves
end

return _M
