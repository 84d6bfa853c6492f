-- Owns the life of health checkers: one for each upstream that has `checks`, made when a request first asks for it,
-- changed with it, ended with it. Mirrors apisix.healthcheck_manager.
local core = require "apisix.core"
local events = require "apisix.events"
local healthcheck = require "resty.healthcheck"
local instances = require "apisix.healthcheck_manager.instances"
local resource = require "apisix.resource"
local targets = require "apisix.healthcheck_manager.targets"
local timers = require "apisix.timers"

local exiting = ngx.worker.exiting
local pairs = pairs
local pcall = pcall

local DICT_NAME = targets.DICT_NAME
local CLEAR_DELAY = 10 -- seconds that what is known of the targets outlives their checker

local working = {} -- resource path -> {version, index, checker, checks}
local waiting = {} -- resource path -> {version, upstream}

local _M = { get_healthchecker_name = targets.name_of }

-- The upstream at path as it is configured now, and the version of its item.
local function latest(path)
    local item = resource.fetch_latest_conf(path)
    if not item then
        return nil
    end
    local upstream = item.value.upstream or item.value
    if instances.is_path(path) then
        upstream = instances.upstream_of(path, item)
    end
    return upstream, item.modifiedIndex
end

local function create(upstream)
    local conf = core.config.local_conf()
    if conf.apisix and conf.apisix.disable_upstream_healthcheck then
        core.log.info("healthchecker won't be created: disabled upstream healthcheck")
        return nil
    end
    local ok, checker, err = pcall(healthcheck.new, {
        name = targets.name_of(upstream),
        shm_name = DICT_NAME,
        checks = upstream.checks,
        events_module = "resty.events",
    })
    if not ok or not checker then
        core.log.error("failed to create healthcheck: ", ok and err or checker)
        return nil
    end
    return checker
end

local function stop(path, item, delay)
    if working[path] == item then
        working[path] = nil
    end
    item.checker.dead = true
    item.checker:stop()
    if delay then
        item.checker:delayed_clear(delay)
    end
    core.log.info("try to release checker: ", path, " and version: ", item.version)
end

-- Have the upstream at path checked; a checker whose configuration is the same goes on with what it knows.
local function check(path, upstream, version, index)
    if not upstream.nodes then
        return
    end
    local old = working[path]
    local item = { version = version, index = index, checks = upstream.checks }
    if old and core.table.deep_eq(old.checks, upstream.checks) then
        item.checker = old.checker
    else
        item.checker = create(upstream)
        if old then
            stop(path, old)
        end
        if not item.checker then
            return
        end
    end
    working[path] = item
    targets.sync(item.checker, upstream)
end

-- Those of a service discovery may have no nodes yet.
local function has_checks(upstream)
    return upstream and upstream.checks and not (upstream.nodes and #upstream.nodes == 0)
end

local function begin_waiting()
    local due = waiting
    waiting = {}
    for path, wanted in pairs(due) do
        local upstream, index = latest(path)
        upstream = upstream and (wanted.upstream or upstream)
        if has_checks(upstream) then
            check(path, upstream, wanted.version, index)
        end
    end
end

-- The items of checkers may have changed or gone without a request since.
local function follow_changes()
    local snapshot = core.table.clone(working)
    for path, item in pairs(snapshot) do
        local upstream, index = latest(path)
        if not has_checks(upstream) then
            stop(path, item, CLEAR_DELAY)
        elseif index ~= item.index then
            check(path, upstream, item.version, index)
        end
    end
end

local function run()
    if not exiting() then
        begin_waiting()
        follow_changes()
    end
end

-- The checker of the upstream at resource_path ("/routes/1", or a part of it that a plugin names), of this version;
-- nil while there is none: it is made within a second. upstream: what it is to check, when it is not as configured.
function _M.fetch_checker(resource_path, resource_ver, upstream)
    local item = working[resource_path]
    if not item or item.version ~= resource_ver then
        local wanted = waiting[resource_path]
        if not wanted or wanted.version ~= resource_ver then
            waiting[resource_path] = { version = resource_ver, upstream = upstream }
        end
    end
    return item and item.checker -- an old one still knows more than nobody
end

-- Whether the node may be used. Returns true when that is not known; an error is the second.
function _M.fetch_node_status(checker, ip, port, hostname)
    if not checker or checker.dead then
        return true
    end
    local ok, err = checker:get_target_status(ip, port, hostname)
    if err == "target not found" then
        core.log.warn("health check target status not available yet, treat as unknown, addr: ", ip, ":", port,
            ", host: ", hostname)
        return true
    end
    return ok, err
end

-- Once per worker.
function _M.init_worker()
    events.init_worker()
    timers.register_timer("healthcheck_manager", run)
end

return _M
