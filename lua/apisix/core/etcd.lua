-- Owns access to single keys of the store for plugins, with answers in the shape of etcd's old v2 API (node,
-- nodes, createdIndex, modifiedIndex, headers["X-Etcd-Index"]). Keys are given without the configured
-- prefix. Everything that reaches the store yields. Mirrors apisix.core.etcd.
local config_local = require "apisix.core.config_local"
local client = require "apisix.core.config_etcd.client"
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local try_read_attr = require("apisix.core.table").try_read_attr

local format = string.format
local ipairs = ipairs
local gsub = string.gsub
local setmetatable = setmetatable
local str_match = string.match
local str_sub = string.sub
local tonumber = tonumber
local tostring = tostring

local _M = {}

local etcd_cli

-- Returns etcd_cli and the configured prefix of keys, or nil, nil, err.
function _M.get_etcd_cli()
    local conf, err = config_local.local_conf()
    if not conf then
        return nil, nil, err
    end
    if not etcd_cli then
        etcd_cli = client.new()
    end
    return etcd_cli, (gsub(conf.etcd.prefix, "/+$", ""))
end

_M.new = _M.get_etcd_cli
_M.new_without_proxy = _M.get_etcd_cli
_M.get_etcd_syncer = _M.get_etcd_cli

-- A key of the v3 API as a node of the v2 API; of a deleted one the value is nil.
function _M.kvs_to_node(kv)
    return {
        key = kv.key,
        value = kv.value,
        createdIndex = tonumber(kv.create_revision),
        modifiedIndex = tonumber(kv.mod_revision),
    }
end
local kvs_to_node = _M.kvs_to_node

local function not_found(res)
    res.body.message = "Key not found"
    res.reason = "Not found"
    res.status = 404
    return res
end

local function note_revision(res)
    local revision = try_read_attr(res.body, "header", "revision")
    if not revision then
        return nil, "etcd response missing header.revision"
    end
    res.headers["X-Etcd-Index"] = tostring(revision)
    return revision
end

-- What stands in a directory beside its items: the marker that some writers leave, whose key ends in "/".
local function is_marker(kv)
    return str_sub(kv.key, -1) == "/"
end

local function directory(kvs, real_key)
    local nodes = setmetatable({}, json.array_mt)
    for _, kv in ipairs(kvs) do
        if not is_marker(kv) then
            nodes[#nodes + 1] = kvs_to_node(kv)
        end
    end
    return { key = str_match(real_key, "^(.-)/*$"), dir = true, nodes = nodes }
end

-- Turn a v3 answer of readdir or get into the v2 shape, in place: body.node is the key real_key, or with is_dir the
-- directory with its `nodes`. formatter(res): does this instead. Without keys: status 404, body.message.
function _M.get_format(res, real_key, is_dir, formatter)
    if res.body.error then
        return nil, res.body.error
    end
    local revision, err = note_revision(res)
    if not revision then
        return nil, err
    end
    local kvs = res.body.kvs
    if formatter then
        return formatter(res)
    end
    if not kvs then
        return not_found(res)
    end
    if is_dir then
        res.body.node = directory(kvs, real_key)
    elseif kvs[1].key == real_key then
        res.body.node = kvs_to_node(kvs[1])
    else
        return not_found(res)
    end
    res.body.kvs = nil
    return res
end

-- Turn an answer of a watch into the v2 shape: body.node is an array of nodes, one per event.
-- Returns nil, "compacted" when the history asked for is gone.
function _M.watch_format(v3res)
    local result = v3res.result
    if (tonumber(result.compact_revision) or 0) > 0 then
        return nil, "compacted"
    end
    local nodes, action = {}, nil
    for i, event in ipairs(result.events) do
        nodes[i] = kvs_to_node(event.kv)
        if event.type == "DELETE" then
            action = "delete"
        end
    end
    local headers = { ["X-Etcd-Index"] = tostring(result.header.revision) }
    return { headers = headers, body = { node = nodes, action = action } }
end

-- The key, or with is_dir all that is under it: body.node, body.node.nodes. Absent: status 404.
function _M.get(key, is_dir)
    local cli, prefix, err = _M.get_etcd_cli()
    if not cli then
        return nil, err
    end
    key = prefix .. key
    local res
    if is_dir then
        res, err = cli:readdir(key)
    else
        res, err = cli:get(key)
    end
    if not res then
        return nil, err
    end
    return _M.get_format(res, key, is_dir)
end

local function warn_if_data_plane()
    if try_read_attr(config_local.local_conf(), "deployment", "role") == "data_plane" then
        log.warn("Data plane role should not write to etcd. ",
                 "This operation will be deprecated in future releases.")
    end
end

-- do_write(cli, key): returns the client's answer, or nil, err.
local function write(key, do_write)
    local cli, prefix, err = _M.get_etcd_cli()
    if not cli then
        return nil, err
    end
    warn_if_data_plane()
    key = prefix .. key
    local res
    res, err = do_write(cli, key)
    if not res then
        return nil, err
    end
    local revision
    revision, err = note_revision(res)
    if not revision then
        return nil, err
    end
    return res, key
end

-- Write value as JSON, for ttl seconds or for ever. Status 201 when the key is new, else 200. With a ttl, body.lease_id
-- is what keepalive() takes.
function _M.set(key, value, ttl)
    local created
    local res, real_key = write(key, function(cli, name)
        local before, err = cli:get(name)
        if not before then
            return nil, err
        end
        created = not before.body.kvs
        return cli:set(name, value, { ttl = tonumber(ttl) })
    end)
    if not res then
        return nil, real_key
    end
    res.body.node = { key = real_key, value = value }
    res.status = created and 201 or 200
    return res
end

-- Write if the key's modifiedIndex is still mod_revision; else nil, "value changed before overwritten".
function _M.atomic_set(key, value, ttl, mod_revision)
    local res, real_key = write(key, function(cli, name)
        return cli:set_if(name, value, mod_revision, { ttl = tonumber(ttl) })
    end)
    if not res then
        return nil, real_key
    end
    if not res.body.succeeded then
        return nil, "value changed before overwritten"
    end
    res.body.node = { key = real_key, value = value }
    return res
end

-- Write value under key with a new id, which goes into value.id. Ids ascend with time.
function _M.push(key, value, ttl)
    local res, err = _M.set("/gen_id", 1)
    if not res then
        return nil, err
    end
    value.id = format("%020d", res.body.header.revision)
    return _M.set(key .. "/" .. value.id, value, ttl)
end

local function delete(key, method)
    local res, real_key = write(key, function(cli, name)
        return cli[method](cli, name)
    end)
    if not res then
        return nil, real_key
    end
    if not res.body.deleted then
        return not_found(res)
    end
    res.body.node = {}
    res.body.key = real_key
    return res
end

-- Delete one key. Absent: status 404.
function _M.delete(key)
    return delete(key, "delete")
end

-- Delete all keys that begin with key.
function _M.rmdir(key)
    return delete(key, "rmdir")
end

-- Let the ttl seconds of a key that set() wrote begin anew. Returns the answer, or nil, err, also when they are over.
function _M.keepalive(id)
    local cli, _, err = _M.get_etcd_cli()
    if not cli then
        return nil, err
    end
    warn_if_data_plane()
    return cli:keepalive(id)
end

-- {body = {etcdserver, etcdcluster}}
function _M.server_version()
    local cli, _, err = _M.get_etcd_cli()
    if not cli then
        return nil, err
    end
    return cli:version()
end

return _M
