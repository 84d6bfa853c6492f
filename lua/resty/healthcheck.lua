-- Owns the checking of servers' health, actively by probes and passively by reports (API of lua-resty-healthcheck).
-- What it knows stands in a shared dictionary: a worker sees at once what another has found out. The parts stand in
-- healthcheck/.
local events = require "resty.events.compat"
local runner = require "resty.healthcheck.runner"
local settings = require "resty.healthcheck.settings"
local store = require "resty.healthcheck.store"

local assert = assert
local error = error
local ipairs = ipairs
local ngx_log = ngx.log
local setmetatable = setmetatable
local tonumber = tonumber
local tostring = tostring
local type = type

local WARN = ngx.WARN
local GOOD = { healthy = true, mostly_healthy = true }
local PARTLY = { healthy = "mostly_healthy", unhealthy = "mostly_unhealthy" }

local EVENTS = setmetatable({
    remove = "remove", clear = "clear", healthy = "healthy", unhealthy = "unhealthy",
    mostly_healthy = "mostly_healthy", mostly_unhealthy = "mostly_unhealthy",
}, { __index = function(_, name)
    error("'" .. tostring(name) .. "' is not a valid event name", 2)
end })

local checker = {}

local _M = {}

local metatable = { __index = function(self, name)
    if name == "status_ver" then -- moves when a target becomes usable, or unusable
        return self.store:version()
    end
    return checker[name]
end }

local function address(ip, port)
    return tostring(assert(ip, "no ip address provided")), assert(tonumber(port), "no port number provided")
end

-- Take a target in. hostname: what it is known by (default: ip); is_healthy: default true; hostheader: Host of the
-- probes (default: hostname). Returns true, or nil, err.
function checker:add_target(ip, port, hostname, is_healthy, hostheader, meta)
    ip, port = address(ip, port)
    local health = is_healthy == false and "unhealthy" or "healthy"
    local is_new, err = self.store:add({
        ip = ip, port = port, hostname = hostname or ip, hostheader = hostheader or nil, meta = meta,
    }, health)
    if is_new then
        self:raise_event(health, ip, port, hostname or ip)
    end
    return is_new ~= nil or nil, err
end

-- Forget a target; an unknown one is no fault. Returns true, or nil, err.
function checker:remove_target(ip, port, hostname)
    ip, port = address(ip, port)
    local was_there, err = self.store:remove(ip, port, hostname or ip)
    if was_there then
        self:raise_event("remove", ip, port, hostname or ip)
    end
    return was_there ~= nil or nil, err
end

-- Forget all targets. Returns true, or nil, err.
function checker:clear()
    for _, target in ipairs(self.store:targets()) do
        local ok, err = self.store:remove(target.ip, target.port, target.hostname)
        if ok == nil then
            return nil, err
        end
    end
    self:raise_event("clear")
    return true
end

-- Forget the targets `delay` seconds from now, except those that are added again until then. Returns true, or nil, err.
function checker:delayed_clear(delay)
    return self.store:clear(assert(tonumber(delay), "no delay provided"))
end

-- Whether a target may be used; nil, "target not found" for an unknown one.
function checker:get_target_status(ip, port, hostname)
    local health = self.store:health(ip, port, hostname)
    if not health then
        return nil, "target not found"
    end
    return GOOD[health] or false
end

local function change(self, ip, port, hostname, old, new)
    self.store:set_health(ip, port, hostname, new, GOOD[old] ~= GOOD[new])
    self:raise_event(new, ip, port, hostname or ip)
end

-- Count an outcome (kind) that speaks for `health`; `limit` of them in a row make it so. Returns true, or nil, err.
local function count(self, health, kind, limit, ip, port, hostname)
    if limit == 0 then
        return true
    end
    local current = self.store:health(ip, port, hostname)
    if not current then
        self:log(WARN, "trying to increment a target that is not in the list: ", hostname or "", " ", ip, ":", port)
        return true
    elseif current == health then
        return true
    end
    local times, err = self.store:count(kind, ip, port, hostname)
    if not times then
        return nil, err
    end
    self:log(WARN, health, " ", kind, " increment (", times, "/", limit, ") for '", hostname or "", "(", ip, ":", port,
        ")'")
    if times >= limit then
        change(self, ip, port, hostname, current, health)
    elseif PARTLY[current] then -- doubtful from now on
        change(self, ip, port, hostname, current, PARTLY[current])
    end
    return true
end

-- What follows reports outcomes; check: "passive" (default) or "active". Each returns true, or nil, err.

function checker:report_failure(ip, port, hostname, check)
    local checks = self.checks[check or "passive"]
    if checks.type == "tcp" then
        return self:report_tcp_failure(ip, port, hostname, nil, check)
    end
    return count(self, "unhealthy", "http_failure", checks.unhealthy.http_failures, ip, port, hostname)
end

function checker:report_success(ip, port, hostname, check)
    return count(self, "healthy", "success", self.checks[check or "passive"].healthy.successes, ip, port, hostname)
end

-- status: nil for what is no HTTP. Returns nothing for a status that says neither.
function checker:report_http_status(ip, port, hostname, status, check)
    local checks = self.checks[check or "passive"]
    status = tonumber(status) or 0
    if checks.healthy.http_statuses[status] then
        return count(self, "healthy", "success", checks.healthy.successes, ip, port, hostname)
    elseif status == 0 or checks.unhealthy.http_statuses[status] then
        return count(self, "unhealthy", "http_failure", checks.unhealthy.http_failures, ip, port, hostname)
    end
end

function checker:report_tcp_failure(ip, port, hostname, _, check)
    local limit = self.checks[check or "passive"].unhealthy.tcp_failures
    return count(self, "unhealthy", "tcp_failure", limit, ip, port, hostname)
end

function checker:report_timeout(ip, port, hostname, check)
    local limit = self.checks[check or "passive"].unhealthy.timeouts
    return count(self, "unhealthy", "timeout_failure", limit, ip, port, hostname)
end

-- Decide on a target's health at once. Returns true; an unknown target is only logged.
function checker:set_target_status(ip, port, hostname, is_healthy)
    ip, port = address(ip, port)
    assert(type(is_healthy) == "boolean")
    local old = self.store:health(ip, port, hostname)
    if not old then
        self:log(WARN, "trying to set status for a target that is not in the list: ", ip, ":", port)
        return true
    end
    local health = is_healthy and "healthy" or "unhealthy"
    self.store:reset_counters(ip, port, hostname)
    change(self, ip, port, hostname, old, health)
    self:log(WARN, health, " forced for ", hostname or ip, " ", ip, ":", port)
    return true
end

-- The same for all targets of a name and port.
function checker:set_all_target_statuses_for_hostname(hostname, port, is_healthy)
    assert(type(hostname) == "string", "no hostname provided")
    port = assert(tonumber(port), "no port number provided")
    for _, target in ipairs(self.store:targets()) do
        if target.port == port and target.hostname == hostname then
            self:set_target_status(target.ip, port, hostname, is_healthy)
        end
    end
    return true
end

function checker:raise_event(name, ip, port, hostname)
    if events.configured() then
        events.post(self.EVENT_SOURCE, self.events[name], { ip = ip, port = port, hostname = hostname })
    end
end

function checker:log(level, ...)
    ngx_log(level, self.LOG_PREFIX, ...)
end

-- Begin the active checks of this worker. Returns true, or nil, err.
function checker:start()
    return runner.add(self)
end

-- End them; a probe that is under way still reports.
function checker:stop()
    runner.remove(self)
    return true
end

-- opts: name; shm_name, a shared dictionary; checks, as healthcheck/settings.lua has them; ssl_cert and ssl_key, PEM
-- or parsed. Returns a checker that has been started; raises what is wrong with opts.
function _M.new(opts)
    local self = settings(opts or {})
    self.store = store.new(self.name, self.shm_name)
    if opts.ssl_cert and opts.ssl_key then
        local ssl = require "ngx.ssl"
        local is_parsed = type(opts.ssl_cert) == "cdata"
        self.ssl_cert = is_parsed and opts.ssl_cert or assert(ssl.parse_pem_cert(opts.ssl_cert))
        self.ssl_key = is_parsed and opts.ssl_key or assert(ssl.parse_pem_priv_key(opts.ssl_key))
    end
    self.events = EVENTS
    self.EVENT_SOURCE = "lua-resty-healthcheck [" .. self.name .. "]"
    self.LOG_PREFIX = "[healthcheck] (" .. self.name .. ") "
    setmetatable(self, metatable)
    local ok, err = self:start()
    if not ok then
        return nil, err
    end
    return self
end

-- The targets of the checker of this name, whichever worker made it: an array of {ip, port, hostname, hostheader,
-- status, counter = {success, http_failure, tcp_failure, timeout_failure}}.
function _M.get_target_list(name, shm_name)
    local known = store.new(name, shm_name)
    local targets = known:targets()
    for _, target in ipairs(targets) do
        target.status = known:health(target.ip, target.port, target.hostname)
        target.counter = known:counters(target.ip, target.port, target.hostname)
    end
    return targets
end

return _M
