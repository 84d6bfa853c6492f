-- Owns the rhythm of active checks: of all workers one looks ten times a second which checkers are due, and probes
-- their targets. It holds a lock that falls when it dies. Nothing runs while there is no checker. Part of
-- resty.healthcheck.
local probe = require "resty.healthcheck.probe"

local ERR, log = ngx.ERR, ngx.log
local ipairs = ipairs
local min = math.min
local now = ngx.now
local next = next
local pairs = pairs
local pid = ngx.worker.pid
local spawn, wait = ngx.thread.spawn, ngx.thread.wait
local timer_at = ngx.timer.at

local INTERVAL = 0.1 -- seconds
local INTERVAL_OF_OTHERS = 1
local LOCK_TIME = 1.5
local LOCK_KEY = "lua-resty-healthcheck:period_lock"
local GOOD = { healthy = true, mostly_healthy = true }
-- Times are added up: what is due at 3 may find it 2.9999.
local TOLERANCE = 0.001

local checkers = {} -- checker -> true
local is_running = false

local _M = {}

local function take_lock(shm)
    local owner = shm:get(LOCK_KEY)
    if owner == pid() then
        shm:set(LOCK_KEY, owner, LOCK_TIME)
        return true
    end
    return owner == nil and shm:add(LOCK_KEY, pid(), LOCK_TIME)
end

local function probe_each(checker, targets, first, step)
    for i = first, #targets, step do
        probe(checker, targets[i])
    end
end

-- Probe so many at the same time as the configuration allows.
local function probe_all(premature, checker, targets)
    if premature then
        return
    end
    local step = min(checker.checks.active.concurrency, #targets)
    local threads = {}
    for first = 1, step do
        threads[first] = spawn(probe_each, checker, targets, first, step)
    end
    for _, thread in ipairs(threads) do
        wait(thread)
    end
end

local function start_probes(checker, is_good)
    local targets = {}
    for _, target in ipairs(checker.store:targets()) do
        local health = checker.store:health(target.ip, target.port, target.hostname)
        if health and (GOOD[health] or false) == is_good then
            targets[#targets + 1] = target
        end
    end
    if #targets > 0 then
        local ok, err = timer_at(0, probe_all, checker, targets)
        if not ok then
            checker:log(ERR, "failed to create timer to check: ", err)
        end
    end
end

local function check(checker, mode, time)
    local side = checker.checks.active[mode]
    if side.interval > 0 and side.last_run + side.interval - TOLERANCE <= time then
        side.last_run = time
        start_probes(checker, mode == "healthy")
    end
end

local function run(premature)
    local checker = next(checkers)
    if premature or not checker then
        is_running = false
        return
    end
    local is_mine = take_lock(checker.store.shm)
    if is_mine then
        local time = now()
        for each in pairs(checkers) do
            check(each, "healthy", time)
            check(each, "unhealthy", time)
        end
    end
    local ok, err = timer_at(is_mine and INTERVAL or INTERVAL_OF_OTHERS, run)
    if not ok then
        is_running = false
        log(ERR, "[healthcheck] Could not start active check timer: ", err)
    end
end

-- Check the targets of checker from now on; the first time when an interval is over.
function _M.add(checker)
    local active, time = checker.checks.active, now()
    active.healthy.last_run, active.unhealthy.last_run = time, time
    checkers[checker] = true
    if not is_running then
        local ok, err = timer_at(INTERVAL, run)
        if not ok then
            return nil, err
        end
        is_running = true
    end
    return true
end

-- Check them no more. What has begun ends.
function _M.remove(checker)
    checkers[checker] = nil
end

return _M
