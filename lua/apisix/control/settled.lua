-- Owns the barrier: an answer that waits until every worker has applied what the store holds. The store is read once,
-- by its keys and revisions; then the workers' own notes (core/config_etcd/applied.lua) are looked at until all are
-- there. Must never write to the store.
local applied = require "apisix.core.config_etcd.applied"
local bridge = require "server.bridge"
local core = require "apisix.core"
local etcd = require "apisix.core.etcd"
local roster = require "apisix.control.roster"

local ipairs = ipairs
local max = math.max
local min = math.min
local ngx = ngx
local ngx_now = ngx.now
local pairs = pairs
local setmetatable = setmetatable
local sort = table.sort
local str_byte = string.byte
local str_match = string.match
local tonumber = tonumber

local STEP = 0.01 -- seconds between two looks at the notes in shared memory
local TIMEOUT, MAX_TIMEOUT = 10, 300
local SLASH = str_byte("/")
local PATIENCE = 1 -- second
local NO_ANSWER = "the store did not answer in time"

local _M = {}

-- The notes of all workers as they stand: pid -> directory's key -> {revision, text}.
local function read_notes()
    local notes = {}
    for pid in pairs(roster.workers()) do
        local of = {}
        for key in pairs(applied.directories()) do
            local revision, _, text = applied.read(pid, key)
            of[key] = { revision = revision, text = text }
        end
        notes[pid] = of
    end
    return notes
end

-- The keys of the store and their revisions: {revision, keys, mod_revs}; or nil, err. Yields.
local function read_store()
    local _, prefix = etcd.get_etcd_cli()
    local revision, keys, _, _, mod_revs = bridge.await.store_readdir(prefix .. "/")
    if not revision then
        return nil, keys
    end
    return { revision = revision, keys = keys, mod_revs = mod_revs, prefix = prefix }
end

-- The same, but until the deadline at most; the store has a second even if that is earlier.
local function read_store_until(deadline)
    local reading = ngx.thread.spawn(read_store)
    local waiting = ngx.thread.spawn(core.utils.sleep, max(deadline - ngx_now(), PATIENCE))
    local ok, found, err = ngx.thread.wait(reading, waiting)
    ngx.thread.kill(reading)
    ngx.thread.kill(waiting)
    if not ok then
        return nil, found
    end
    return found, err or NO_ANSWER
end

-- directory's key -> {revision (of its last write), count}. A deletion shows by the count alone.
local function sum_up(found)
    local directories, prefix = {}, found.prefix
    for key, alone in pairs(applied.directories()) do
        directories[key] = { revision = 0, count = 0, alone = alone }
    end
    for i = 1, #found.keys do
        local key = found.keys[i]
        local directory = str_match(key, "^/[^/]+", #prefix + 1)
        local of = directory and directories[prefix .. directory]
        local alone = directory and #key == #prefix + #directory
        if of and alone == of.alone and str_byte(key, -1) ~= SLASH then
            of.count = of.count + 1
            of.revision = max(of.revision, found.mod_revs[i])
        end
    end
    return directories
end

-- What a worker must have come to: {revision (the store's), directories, notes (from before it was read)}; or nil, err.
-- Who had noted a higher revision than the store then told is where the store was before it was restored.
local function read_goal(deadline)
    local notes = read_notes()
    local found, err = read_store_until(deadline)
    if not found then
        return nil, err
    end
    return { revision = found.revision, directories = sum_up(found), notes = notes }
end

-- Invalid items are not counted by workers, so fewer may be enough. Past the store's revision all was seen.
local function is_there(pid, goal)
    local notes = goal.notes[pid] or {}
    for key, of in pairs(goal.directories) do
        local at, count, text = applied.read(pid, key)
        local note = notes[key]
        if note and note.revision > goal.revision and note.text == text then
            return false
        elseif at < goal.revision and (at < of.revision or count > of.count) then
            return false
        end
    end
    return true
end

-- By worker id: {id, revision, settled}. While a reload is under way two may have the same id: the one that is behind.
local function look(goal)
    local workers = {}
    local serving, absent = roster.workers()
    for id in pairs(absent) do
        workers[id] = { id = id, revision = 0, settled = false }
    end
    for pid, id in pairs(serving) do
        local revision, settled, other = applied.highest(pid), is_there(pid, goal), workers[id]
        workers[id] = {
            id = id,
            revision = other and min(other.revision, revision) or revision,
            settled = settled and (not other or other.settled),
        }
    end
    return workers
end

local function by_id(a, b)
    return a.id < b.id
end

-- The answer's parts: the workers as an array, and the ids of those that are behind.
local function report(goal)
    local workers, late = setmetatable({}, core.json.array_mt), setmetatable({}, core.json.array_mt)
    for _, worker in pairs(look(goal)) do
        workers[#workers + 1] = worker
    end
    sort(workers, by_id)
    for _, worker in ipairs(workers) do
        if not worker.settled then
            late[#late + 1] = worker.id
        end
    end
    return workers, late
end

-- A store whose revision is lower than what is asked for may still get there.
local function await_goal(wanted, deadline)
    local goal, err = read_goal(deadline)
    while goal and goal.revision < wanted and ngx_now() < deadline do
        core.utils.sleep(STEP)
        goal = read_goal(deadline) or goal
    end
    return goal, err
end

-- Numbers that are none compare as false.
local function read_arguments()
    local args = ngx.req.get_uri_args()
    local wanted, timeout = tonumber(args.revision or 0), tonumber(args.timeout or TIMEOUT)
    if not (wanted and wanted >= 0 and wanted % 1 == 0) then
        return nil, "invalid argument revision: should be a whole number, 0 or more"
    elseif not (timeout and timeout >= 0 and timeout <= MAX_TIMEOUT) then
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
    local goal, err = await_goal(wanted, deadline)
    if not goal then
        return 503, { error_msg = err }
    end
    local workers, late = report(goal)
    while late[1] and ngx_now() < deadline do
        core.utils.sleep(STEP)
        workers, late = report(goal)
    end
    local settled = not late[1] and goal.revision >= wanted
    return settled and 200 or 504, {
        settled = settled, revision = goal.revision, workers = workers, late = late,
    }
end

return _M
