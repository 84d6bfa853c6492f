-- Owns the barrier: an answer that waits until every worker has applied what the store holds. The store is read once,
-- by its keys and revisions; then the workers' own notes (core/config_etcd/applied.lua) are looked at until all are
-- there. Must never write to the store.
local applied = require "apisix.core.config_etcd.applied"
local bridge = require "server.bridge"
local core = require "apisix.core"
local etcd = require "apisix.core.etcd"

local ngx = ngx
local ngx_now = ngx.now
local pairs = pairs
local setmetatable = setmetatable
local str_byte = string.byte
local str_match = string.match
local str_sub = string.sub
local tonumber = tonumber

local STEP = 0.01 -- seconds between two looks at the notes in shared memory
local TIMEOUT, MAX_TIMEOUT = 10, 300
local SLASH = str_byte("/")

local _M = {}

-- What a worker must have come to: directory's key -> {revision (of its last write), count}, and the store's revision;
-- or nil, err. A deletion shows by the count alone. Yields.
local function read_goal()
    local _, prefix = etcd.get_etcd_cli()
    local revision, keys, _, _, mod_revs = bridge.await.store_readdir(prefix .. "/")
    if not revision then
        return nil, keys
    end
    local goal = {}
    for key, alone in pairs(applied.directories()) do
        goal[key] = { revision = 0, count = 0, alone = alone }
    end
    for i = 1, #keys do
        local key = keys[i]
        local directory = str_match(str_sub(key, #prefix + 1), "^/[^/]+")
        local of = directory and goal[prefix .. directory]
        local alone = directory and #key == #prefix + #directory
        if of and alone == of.alone and str_byte(key, -1) ~= SLASH then
            of.count = of.count + 1
            of.revision = mod_revs[i] > of.revision and mod_revs[i] or of.revision
        end
    end
    return goal, revision
end

-- Invalid items are not counted by workers, so fewer may be enough. Past the store's revision all was seen.
local function is_there(id, goal, revision)
    for key, of in pairs(goal) do
        local at, count = applied.read(id, key)
        if at < revision and (at < of.revision or count > of.count) then
            return false
        end
    end
    return true
end

local function find_late(goal, revision)
    local late = {}
    for id = 0, ngx.worker.count() - 1 do
        if not is_there(id, goal, revision) then
            late[#late + 1] = id
        end
    end
    return late
end

-- Array by worker id, from 0: {id, revision, settled}.
local function describe(goal, revision)
    local workers = {}
    for id = 0, ngx.worker.count() - 1 do
        workers[id + 1] = {
            id = id, revision = applied.highest(id), settled = is_there(id, goal, revision),
        }
    end
    return setmetatable(workers, core.json.array_mt)
end

-- A store whose revision is lower than what is asked for may still get there.
local function await_goal(wanted, deadline)
    local goal, revision = read_goal()
    while goal and revision < wanted and ngx_now() < deadline do
        core.utils.sleep(STEP)
        goal, revision = read_goal()
    end
    return goal, revision
end

local function read_arguments()
    local args = ngx.req.get_uri_args()
    local wanted, timeout = tonumber(args.revision or 0), tonumber(args.timeout or TIMEOUT)
    if not wanted or wanted < 0 then
        return nil, "invalid argument revision: should be a number, 0 or more"
    elseif not timeout or timeout < 0 or timeout > MAX_TIMEOUT then
        return nil, "invalid argument timeout: should be a number of seconds, 0 to " .. MAX_TIMEOUT
    end
    return wanted, timeout
end

-- GET /v1/config/settled?revision=N&timeout=SECONDS: 200 once every worker has applied the store as it is at that
-- revision or a later one, 504 with late (ids of workers) when some have not in time, 503 without a store.
function _M.answer()
    if core.config.type ~= "etcd" then
        return 400, { error_msg = "there is no store: the configuration is a file, without revisions" }
    end
    local wanted, timeout = read_arguments()
    if not wanted then
        return 400, { error_msg = timeout }
    end
    local deadline = ngx_now() + timeout
    local goal, revision = await_goal(wanted, deadline)
    if not goal then
        return 503, { error_msg = revision }
    end
    local late = find_late(goal, revision)
    while late[1] and ngx_now() < deadline do
        core.utils.sleep(STEP)
        late = find_late(goal, revision)
    end
    local settled = not late[1] and revision >= wanted
    return settled and 200 or 504, {
        settled = settled, revision = revision, workers = describe(goal, revision),
        late = setmetatable(late, core.json.array_mt),
    }
end

return _M
