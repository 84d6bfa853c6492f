-- Owns etcd_cli: the store, spoken to as plugins and the configuration cycle speak to etcd. Answers have
-- the shape of etcd's v3 API, values are JSON both ways. Whatever stands behind it, etcd or the embedded
-- store, is Python's affair. Every method but watchcancel yields.
local bridge = require "server.bridge"
local json = require "apisix.core.json"
local new_tab = require "table.new"

local await = bridge.await
local call = bridge.call
local str_find = string.find
local setmetatable = setmetatable

local Client = {}
Client.__index = Client

-- Messages that have a fixed form for callers.
local function failure(err)
    if str_find(err, "user name is empty", 1, true) then
        return "insufficient credentials code: 401"
    elseif str_find(err, "permission denied", 1, true) then
        return "etcd forbidden code: 403"
    end
    return err
end

-- A value that is no JSON stays the text that it is, so that it is seen and refused, not taken for a deletion.
local function decode(text)
    local value = json.decode(text)
    if value == nil then
        return text
    end
    return value
end

local function answer(revision, body, history)
    body.header = { revision = revision, history = history }
    return { status = 200, headers = {}, body = body }
end

local function to_kvs(keys, values, create_revs, mod_revs)
    local kvs = new_tab(#keys, 0)
    for i = 1, #keys do
        kvs[i] = {
            key = keys[i],
            value = decode(values[i]),
            create_revision = create_revs[i],
            mod_revision = mod_revs[i],
        }
    end
    return kvs[1] and kvs or nil
end

-- All keys that begin with prefix: {body = {header = {revision, history}, kvs = {…} or nil when there are none}}.
-- history: revisions read under another one say nothing (a string; nil from a store that cannot tell).
function Client:readdir(prefix)
    local revision, keys, values, create_revs, mod_revs, history = await.store_readdir(prefix)
    if not revision then
        return nil, failure(keys)
    end
    return answer(revision, { kvs = to_kvs(keys, values, create_revs, mod_revs) }, history)
end

-- As readdir, for a start: when the store does not answer and there is a snapshot, what that holds, which
-- header.snapshot then says.
function Client:preload(prefix)
    local revision, keys, values, create_revs, mod_revs, history, snapshot = await.store_preload(prefix)
    if not revision then
        return nil, failure(keys)
    end
    local res = answer(revision, { kvs = to_kvs(keys, values, create_revs, mod_revs) }, history)
    res.body.header.snapshot = snapshot
    return res
end

-- One key, in the same shape.
function Client:get(key)
    local revision, value, create_rev, mod_rev = await.store_get(key)
    if not revision then
        return nil, failure(value)
    end
    return answer(revision, { kvs = value and to_kvs({ key }, { value }, { create_rev }, { mod_rev }) })
end

-- Write value as JSON; opts.ttl: seconds after which the key is deleted, unless keepalive(body.lease_id) is called.
function Client:set(key, value, opts)
    local text, err = json.encode(value)
    if not text then
        return nil, err
    end
    local revision, lease
    if opts and opts.ttl then
        revision, lease = await.store_put_leased(key, text, opts.ttl)
    else
        revision, err = await.store_put(key, text)
    end
    if not revision then
        return nil, failure(lease or err)
    end
    return answer(revision, { lease_id = lease })
end

-- Have the seconds of a lease begin anew: body.result has ID and TTL.
function Client:keepalive(id)
    local ttl, err = await.store_keep_alive(id)
    if not ttl then
        return nil, failure(err)
    elseif ttl <= 0 then
        return nil, "etcdserver: requested lease not found"
    end
    return { status = 200, headers = {}, body = { result = { ID = id, TTL = tostring(ttl) } } }
end

-- Write if the key's mod_revision is still that (0: if the key is absent): body.succeeded tells.
function Client:set_if(key, value, mod_revision, opts)
    local text, err = json.encode(value)
    if not text then
        return nil, err
    end
    local revision, done = await.store_put_if(key, text, mod_revision, opts and opts.ttl)
    if not revision then
        return nil, failure(done)
    end
    return answer(revision, { succeeded = done })
end

local function deleted(revision, count)
    if not revision then
        return nil, failure(count)
    end
    return answer(revision, { deleted = count > 0 and count or nil })
end

-- Delete a key: body.deleted is nil when it was absent.
function Client:delete(key)
    return deleted(await.store_delete(key))
end

-- Delete all keys that begin with prefix.
function Client:rmdir(prefix)
    return deleted(await.store_delete_prefix(prefix))
end

function Client:version()
    local version, err = await.store_server_version()
    if not version then
        return nil, failure(err)
    end
    return { status = 200, headers = {}, body = { etcdserver = version, etcdcluster = version } }
end

local function events_of(types, keys, values, create_revs, mod_revs)
    local events = new_tab(#types, 0)
    for i = 1, #types do
        local gone = types[i] == "DELETE"
        events[i] = {
            type = gone and "DELETE" or nil,
            kv = {
                key = keys[i],
                value = not gone and decode(values[i]) or nil,
                create_revision = create_revs[i],
                mod_revision = mod_revs[i],
            },
        }
    end
    return events
end

local function next_answer(watch, timeout)
    local kind, revision, types, keys, values, create_revs, mod_revs = await.store_watch_next(watch.id, timeout)
    if kind == "events" then
        local events = events_of(types, keys, values, create_revs, mod_revs)
        return { result = { header = { revision = revision }, events = events } }
    elseif kind == "compacted" then
        return { result = { header = { revision = revision }, canceled = true, compact_revision = revision } }
    elseif kind == "closed" then
        return nil, "closed", revision
    elseif kind == "timeout" then
        return nil, "timeout"
    end
    return nil, failure(revision)
end

-- Watch the keys that begin with prefix from opts.start_revision on (nil: from now on).
-- Returns a function that gives the next answer, the first one being the creation notice with the store's
-- revision and history, or nil and "timeout" (after opts.timeout seconds), "closed" or another message; and
-- the handle for watchcancel. Or nil, err.
function Client:watchdir(prefix, opts)
    local id, revision, history = await.store_watch_open(prefix, opts.start_revision or 0)
    if not id then
        return nil, failure(revision)
    end
    local watch = { id = id }
    local created = { result = { header = { revision = revision, history = history }, created = true } }
    return function()
        if created then
            local notice = created
            created = nil
            return notice
        end
        return next_answer(watch, opts.timeout)
    end, nil, watch
end

-- End a watch; whoever waits for its next answer gets "closed". Returns 1. Never yields.
function Client:watchcancel(watch)
    call.store_watch_cancel(watch.id)
    return 1
end

return {
    new = function()
        return setmetatable({}, Client)
    end,
}
