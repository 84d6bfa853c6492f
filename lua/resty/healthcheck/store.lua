-- Owns what a health checker knows, in a shared dictionary, where all workers see it at once: its targets, the health
-- of each and how often in a row it did well or failed, and a version that moves when a target may be used or no
-- longer. Part of resty.healthcheck. Must never probe.
local json = require "cjson.safe"
local resty_lock = require "resty.lock"

local error = error
local ipairs = ipairs
local now = ngx.now
local pcall = pcall
local remove = table.remove
local setmetatable = setmetatable
local shared = ngx.shared
local tostring = tostring

local PREFIX = "lua-resty-healthcheck:"
local FAILURES = { "http_failure", "tcp_failure", "timeout_failure" }
local COUNTERS = { "success", FAILURES[1], FAILURES[2], FAILURES[3] }

local Store = {}
Store.__index = Store

-- name: of the checker; shm_name: of the dictionary. Raises when there is no such dictionary.
local function new(name, shm_name)
    local shm = shared[tostring(shm_name)]
    if not shm then
        error("no shm found by name '" .. tostring(shm_name) .. "'", 0)
    end
    local prefix = PREFIX .. name .. ":"
    return setmetatable({
        shm = shm, shm_name = shm_name, prefix = prefix,
        list_key = prefix .. "target_list", version_key = prefix .. "status_ver",
    }, Store)
end

local function id_of(ip, port, hostname)
    return ip .. ":" .. port .. ":" .. (hostname or ip)
end

local function state_key(self, id)
    return self.prefix .. "state:" .. id
end

local function counter_key(self, kind, id)
    return self.prefix .. kind .. ":" .. id
end

function Store:version()
    return self.shm:get(self.version_key) or 0
end

local function move_version(self)
    self.shm:incr(self.version_key, 1, 0)
end

-- An array of {ip, port, hostname, hostheader, meta, purge_time}, without those whose time is over.
function Store:targets()
    local text = self.shm:get(self.list_key)
    local targets, time = {}, now()
    for _, target in ipairs(text and json.decode(text) or {}) do
        if not target.purge_time or target.purge_time > time then
            targets[#targets + 1] = target
        end
    end
    return targets
end

-- Have change(targets) work on the list while no other worker does. It returns true, or nil, err.
local function change_targets(self, change)
    local lock, err = resty_lock:new(self.shm_name, { exptime = 10, timeout = 5 })
    if not lock then
        return nil, "failed creating lock for '" .. self.list_key .. "', " .. err
    end
    local ok, waited
    waited, err = lock:lock(self.list_key .. "_lock")
    if not waited then
        return nil, "failed acquiring lock for '" .. self.list_key .. "', " .. err
    end
    local done
    done, ok, err = pcall(change, self:targets())
    lock:unlock()
    if not done then
        return nil, "locked function threw an exception: " .. tostring(ok)
    end
    return ok, err
end

local function write_targets(self, targets, ttl)
    local ok, err = self.shm:set(self.list_key, json.encode(targets), ttl)
    if not ok then
        return nil, "failed to store target_list in shm: " .. err
    end
    move_version(self)
    return true
end

local function each_key(self, target, fn)
    local id = id_of(target.ip, target.port, target.hostname)
    fn(state_key(self, id))
    for _, kind in ipairs(COUNTERS) do
        fn(counter_key(self, kind, id))
    end
end

local function place_of(targets, ip, port, hostname)
    for i, target in ipairs(targets) do
        if target.ip == ip and target.port == port and target.hostname == hostname then
            return i
        end
    end
end

-- Take a target in, with this health. One that is there stays as it is, and is not cleared any more. Returns whether it
-- is new, or nil, err.
function Store:add(target, health)
    return change_targets(self, function(targets)
        local known = targets[place_of(targets, target.ip, target.port, target.hostname)]
        if not known then
            self.shm:set(state_key(self, id_of(target.ip, target.port, target.hostname)), health)
            targets[#targets + 1] = target
            return write_targets(self, targets)
        elseif known.purge_time then
            known.purge_time = nil
            each_key(self, known, function(key)
                self.shm:expire(key, 0)
            end)
            local ok, err = write_targets(self, targets)
            return ok and false or nil, err
        end
        return false
    end)
end

-- Forget a target. Returns whether it was there, or nil, err.
function Store:remove(ip, port, hostname)
    return change_targets(self, function(targets)
        local place = place_of(targets, ip, port, hostname)
        if not place then
            return false
        end
        local target = remove(targets, place)
        local ok, err = write_targets(self, targets)
        each_key(self, target, function(key)
            self.shm:delete(key)
        end)
        return ok, err
    end)
end

-- Forget all targets `delay` seconds from now, except those that are added again before.
function Store:clear(delay)
    return change_targets(self, function(targets)
        local time = now() + delay
        for _, target in ipairs(targets) do
            target.purge_time = time
            each_key(self, target, function(key)
                self.shm:expire(key, delay)
            end)
        end
        return write_targets(self, targets, delay)
    end)
end

-- "healthy", "mostly_healthy", "mostly_unhealthy" or "unhealthy"; nil for an unknown target.
function Store:health(ip, port, hostname)
    return self.shm:get(state_key(self, id_of(ip, port, hostname)))
end

-- Give a known target a health. moves: whether others have to choose anew.
function Store:set_health(ip, port, hostname, health, moves)
    self.shm:safe_set(state_key(self, id_of(ip, port, hostname)), health)
    if moves then
        move_version(self)
    end
end

-- Count one more of a kind (of COUNTERS): a success ends all failures in a row, a failure the successes. Returns how
-- many there are in a row, or nil, err.
function Store:count(kind, ip, port, hostname)
    local id = id_of(ip, port, hostname)
    local count, err = self.shm:incr(counter_key(self, kind, id), 1, 0)
    if kind ~= "success" then
        self.shm:delete(counter_key(self, "success", id))
    else
        for _, failure in ipairs(FAILURES) do
            self.shm:delete(counter_key(self, failure, id))
        end
    end
    return count, err
end

-- kind -> how many in a row
function Store:counters(ip, port, hostname)
    local counters, id = {}, id_of(ip, port, hostname)
    for _, kind in ipairs(COUNTERS) do
        counters[kind] = self.shm:get(counter_key(self, kind, id)) or 0
    end
    return counters
end

function Store:reset_counters(ip, port, hostname)
    local id = id_of(ip, port, hostname)
    for _, kind in ipairs(COUNTERS) do
        self.shm:delete(counter_key(self, kind, id))
    end
end

return { new = new }
