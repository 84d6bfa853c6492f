-- Owns the configuration cycle of one directory: read it, then watch it from the revision after the last
-- one seen, for as long as the worker lives. All time comes from ngx.*; all data through the object's etcd_cli.
--
-- A run (_automatic_fetch, on a timer) makes up to 32 rounds and arms the next one. A round either reads
-- the directory (need_reload) or opens a watch, takes one answer and cancels the watch. What changes in
-- between is not lost: the next watch begins right after what was seen, and the store keeps history. When
-- it no longer does ("compacted"), or its revisions do not continue those that we have seen
-- ("restarted"), the directory is read again, in the latter case without trust in any revision.
local apply = require "apisix.core.config_etcd.apply"
local client = require "apisix.core.config_etcd.client"
local etcd = require "apisix.core.etcd"
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local preload = require "apisix.core.config_etcd.preload"
local snapshot = require "apisix.core.config_etcd.snapshot"
local sleep = require("apisix.core.utils").sleep
local status = require "apisix.core.config_etcd.status"

local exiting = ngx.worker.exiting
local ngx_now = ngx.now
local ngx_timer_at = ngx.timer.at
local pairs = pairs
local min = math.min
local random = math.random
local str_find = string.find
local tostring = tostring
local traceback = debug.traceback
local xpcall = xpcall

local ROUNDS = 32
local UNHEALTHY = "has no healthy etcd endpoint available"
local FIRST_RETRY_DELAY = 0.1
local MAX_RETRY_DELAY = 0.4 -- what changes while etcd comes back is served within a second of its return
local AGAIN_SOON = 0.05
local SAY_AGAIN = 30 -- seconds before the same error is logged again

local _M = {}

-- What many directories meet at once, or one again and again, is one line each 30 seconds.
local said = {}

local function say_once(write, text, ...)
    local now = ngx_now()
    for known, at in pairs(said) do
        if now - at >= SAY_AGAIN then
            said[known] = nil
        end
    end
    if not said[text] then
        said[text] = now
        write(text, ...)
    end
end

local function goes_on(self)
    return self.running and not exiting()
end

-- Read the directory. Returns its nodes, the revision and the store's history, or nil, err; yields.
local function read(self)
    local prefix = self.single_item and self.key or self.key .. "/"
    local res, err = self.etcd_cli:readdir(prefix)
    if not res then
        return nil, err
    end
    res, err = etcd.get_format(res, prefix, true)
    if not res then
        return nil, err
    end
    local nodes = res.body.node and res.body.node.nodes or {}
    log.debug("readdir key: ", self.key, " res: ", json.delay_encode(nodes))
    return nodes, res.headers["X-Etcd-Index"], res.body.header.history
end
_M.read = read

local function reload(self)
    local nodes, index, history = read(self)
    if not nodes then
        return false, index
    end
    if not self.running then -- closed while it was read
        return false
    end
    apply.full(self, nodes, index, history)
    snapshot.changed()
    status.came(self.key)
    return true
end

local waiting = {} -- watch -> its directory, while a round waits for it

-- Whether a watch goes on where the directory is.
local function continues(self, header)
    if header.history then
        return header.history == self.history
    end
    return header.revision >= self.prev_index
end

-- The first answer is the creation notice, with the store's revision; the second one what we came for.
local function take_answer(self, next_answer)
    local res, err = next_answer()
    if not res then
        return nil, err
    end
    if not continues(self, res.result.header) then
        return nil, "restarted"
    end
    local detail
    res, err, detail = next_answer()
    if not res then
        log.info("watch of ", self.key, " from ", self.prev_index + 1, ": ", detail or err)
        return nil, err
    end
    return etcd.watch_format(res)
end

local function waitdir(self)
    local cli = self.etcd_cli
    local next_answer, err, watch = cli:watchdir(self.single_item and self.key or self.key .. "/", {
        start_revision = self.prev_index + 1,
        timeout = self.timeout or self.watch_timeout,
        need_cancel = true,
    })
    if not next_answer then
        return nil, err
    end
    local res
    if not goes_on(self) then -- wake() may have been before this watch
        err = "closed"
    else
        waiting[watch] = self
        res, err = take_answer(self, next_answer)
        waiting[watch] = nil
    end
    cli:watchcancel(watch)
    if not self.running then -- closed while it waited
        return nil, "closed"
    end
    return res, err
end

-- One round. Returns true or the items when something was applied; false when the state has changed and another
-- round should follow; false, err otherwise ("timeout" when nothing happened).
function _M.sync_data(self)
    if not self.key then
        return nil, "missing 'key' arguments"
    end
    if self.need_reload then
        return reload(self)
    end
    local res, err = waitdir(self)
    if res then
        apply.events(self, res.body.node)
        snapshot.changed()
        return self.values
    end
    if err == "compacted" or err == "restarted" then
        self.need_reload = true
        if err == "restarted" then
            self.history = false
        end
        log.warn("waitdir [", self.key, "] from ", self.prev_index + 1, ": ", err, ", reading it again")
        return false
    elseif err == "closed" then
        return false
    end
    return false, err
end
_M.sync = _M.sync_data -- what a round runs; tests put another function here

-- Retry after 0.1, 0.2, 0.4, 0.4 … seconds while no endpoint answers. Returns what the last round did, the rounds left.
local function until_healthy(self, ok, err, rounds)
    local delay = FIRST_RETRY_DELAY
    while rounds > 0 and err and str_find(err, UNHEALTHY, 1, true) and goes_on(self) do
        say_once(log.error, err, ": the configuration stays as it is until it answers")
        sleep(delay)
        ok, err = _M.sync(self)
        rounds = rounds - 1
        delay = min(delay * 2, MAX_RETRY_DELAY)
        if not err or not str_find(err, UNHEALTHY, 1, true) then
            say_once(log.warn, "reconnected to etcd")
        end
    end
    return ok, err, rounds
end

local function pause(self)
    sleep(self.resync_delay * (1 + random() * 0.5))
end

local function round(self, rounds)
    if not self.etcd_cli then
        self.etcd_cli = client.new()
    end
    local ok, err = _M.sync(self)
    ok, err, rounds = until_healthy(self, ok, err, rounds)
    if err and err ~= "timeout" then
        say_once(log.error, "failed to fetch data from etcd: " .. err, ", ", tostring(self))
        pause(self)
    elseif not ok and not err then
        sleep(AGAIN_SOON)
    end
    return rounds
end

-- The callback of the directory's timer.
function _M.automatic_fetch(premature, self)
    if premature then
        return
    end
    preload.forget()
    local rounds = ROUNDS
    while rounds > 0 and goes_on(self) do
        local ok, left = xpcall(round, traceback, self, rounds - 1)
        if not ok then
            log.error("failed to fetch data from etcd: ", left, ", ", tostring(self))
            self.need_reload = true -- whatever was half done
            pause(self)
            break
        end
        rounds = left
    end
    if goes_on(self) then
        local ok, err = ngx_timer_at(0, _M.automatic_fetch, self)
        if not ok then
            log.error("the configuration of ", tostring(self), " is no longer followed: ", err)
        end
    end
end

-- Wake every round that waits, or that of one directory, so that it sees that it is to end.
function _M.wake(directory)
    for watch, waiter in pairs(waiting) do
        if not directory or waiter == directory then
            waiter.etcd_cli:watchcancel(watch)
        end
    end
end

return _M
