-- Owns the configuration read before the first request: the whole prefix at once, split by directory, each
-- taken once by the directory's object. Must never apply anything.
local etcd = require "apisix.core.etcd"
local log = require "apisix.core.log"

local byte = string.byte
local ipairs = ipairs
local ngx_time = ngx.time
local str_find = string.find
local str_sub = string.sub

local SLASH = byte("/")

local _M = {
    from_snapshot = false, -- whether it was read from the snapshot, because the store did not answer
}

local loaded -- directory -> {node = … or nil, nodes = {…}}, revision; nil when nothing is preloaded
local index, history, loaded_at

-- Compiled by the JIT, as patterns would not be: there may be 100,000 keys.
local function group(kvs, prefix)
    local groups, size = {}, #prefix
    for _, kv in ipairs(kvs or {}) do
        local key = kv.key
        local slash = str_find(key, "/", size + 2, true)
        local directory = str_sub(key, size + 1, slash and slash - 1)
        if #directory > 1 and byte(key, size + 1) == SLASH and str_sub(key, 1, size) == prefix then
            local found = groups[directory]
            if not found then
                found = { nodes = {} }
                groups[directory] = found
            end
            if not slash then
                found.node = etcd.kvs_to_node(kv)
            elseif byte(key, -1) ~= SLASH then
                found.nodes[#found.nodes + 1] = etcd.kvs_to_node(kv)
            end
        end
    end
    return groups
end

-- Read everything; yields. Returns true, or nil, err.
function _M.load()
    loaded = nil
    local cli, prefix, err = etcd.get_etcd_cli()
    if not cli then
        return nil, err
    end
    local res
    res, err = cli:preload(prefix .. "/")
    if not res then
        return nil, err
    end
    local header = res.body.header
    _M.from_snapshot = header.snapshot ~= nil
    if header.snapshot then
        log.error(header.snapshot)
    end
    loaded, index, history, loaded_at = group(res.body.kvs, prefix), header.revision, header.history, ngx_time()
    return true
end

-- Seconds since it was read; nil when it was not.
function _M.age()
    return loaded and ngx_time() - loaded_at
end

-- The nodes of a directory ("/routes"; single: the one key of that name), the revision they were read
-- at and the store's history; nil when they are not known. Each directory can be taken once.
function _M.take(directory, single)
    if not loaded or str_find(directory, "/", 2, true) then
        return nil
    end
    local found = loaded[directory]
    if found == false then
        return nil
    end
    loaded[directory] = false
    log.notice("use loaded configuration ", directory)
    if single then
        return { found and found.node }, index, history
    end
    return found and found.nodes or {}, index, history
end

-- Let go of what nobody took: from now on directories read for themselves.
function _M.forget()
    loaded = nil
end

return _M
