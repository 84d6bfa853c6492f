-- Owns the applying of what was read or watched to a directory's items: `values` (an array with false where an
-- item was deleted), `values_hash` (short key -> position), `conf_version`, `prev_index`. Never yields by itself.
--
-- An item whose new data is invalid keeps its old data; nothing that a checker or filter does can
-- lose another item's change.
local applied = require "apisix.core.config_etcd.applied"
local config_util = require "apisix.core.config_util"
local log = require "apisix.core.log"
local notify = require "apisix.core.config_etcd.notify"
local printable = require "apisix.core.config_util.printable"
local judged = require("apisix.core.config_etcd.snapshot").judged
local check_schema = require("apisix.core.schema").check
local clear = require "table.clear"
local new_tab = require "table.new"

local ipairs = ipairs
local pairs = pairs
local str_sub = string.sub
local tonumber = tonumber
local traceback = debug.traceback
local type = type
local xpcall = xpcall

-- Holes in `values` after which it is compacted.
local MAX_HOLES = 100

local _M = {}

-- The name of an item within its directory; nil for a key that is not in it.
local function short_key(self, key)
    if self.single_item then
        return key == self.key and key or nil
    end
    local start = #self.key + 2
    if str_sub(key, 1, start - 1) ~= self.key .. "/" or #key < start then
        return nil
    end
    return str_sub(key, start)
end

local function run_checks(self, node)
    local value = node.value
    if not self.single_item and type(value) ~= "table" then
        return false, "it should be an object"
    end
    if self.item_schema then
        local ok, err = check_schema(self.item_schema, value)
        if not ok then
            return false, err
        end
    end
    if self.checker then
        return self.checker(value, node.key)
    end
    return true
end

local function is_valid(self, node)
    local ran, ok, err = xpcall(run_checks, traceback, self, node)
    judged(node.key, ran and ok)
    if ran and ok then
        return true
    end
    log.error("failed to check item data of [", node.key, "] err: ", ran and err or ok,
              ", val: ", printable(node.key, node.value))
    return false
end

local function run_filter(self, node)
    if not self.filter then
        return
    end
    local ok, err = xpcall(self.filter, traceback, node)
    if not ok then
        log.error("failed to take over item [", node.key, "]: ", err)
    end
end

local function identify(self, node, name)
    if not self.single_item then
        node.value.id = name
    end
end

-- What full() keeps, takes and drops: new arrays, and the nodes that are new. anew: revisions are not comparable.
local function sift(self, nodes, anew)
    local before, before_hash = self.values or {}, self.values_hash or {}
    local values, hash, fresh = new_tab(#nodes, 0), new_tab(0, #nodes), {}
    local highest = 0
    for _, node in ipairs(nodes) do
        local name = short_key(self, node.key)
        if name and node.value ~= nil then
            local prev = before[before_hash[name]]
            local item = node
            if prev and not anew and prev.modifiedIndex == node.modifiedIndex then
                item = prev
            elseif is_valid(self, node) then
                identify(self, node, name)
                fresh[#fresh + 1] = node
            else
                item = prev
                log.warn("item [", node.key, "] ", prev and "keeps its previous data" or "is left out")
            end
            if item then
                values[#values + 1] = item
                hash[name] = #values
            end
            highest = node.modifiedIndex and node.modifiedIndex > highest and node.modifiedIndex or highest
        end
    end
    return values, hash, fresh, highest
end

local function dispose(self, before, before_hash, revision)
    local gone = false
    for name, i in pairs(before_hash or {}) do
        local at = self.values_hash[name]
        local item = at and self.values[at]
        if item ~= before[i] then
            config_util.fire_all_clean_handlers(before[i])
        end
        if not item then
            gone = true
            notify(self, name, nil, revision)
        end
    end
    return gone
end

-- Replace all items by nodes ({key, value, createdIndex, modifiedIndex}), read at revision `index`. Items whose
-- modifiedIndex has not changed stay the objects that they are. conf_version rises once, and only if
-- something changed. prev_index becomes index, even if that is lower. history: the store's, within which revisions can
-- be compared, or nil.
function _M.full(self, nodes, index, history)
    local anew = history ~= self.history
    self.history = history
    local before, before_hash = self.values, self.values_hash
    local fresh, highest
    self.values, self.values_hash, fresh, highest = sift(self, nodes, anew)
    self.sync_times = 0
    self.prev_index = tonumber(index) or highest
    local gone = dispose(self, before, before_hash, self.prev_index)
    for _, node in ipairs(fresh) do
        notify(self, short_key(self, node.key), node.value, node.modifiedIndex)
        run_filter(self, node)
    end
    if gone or fresh[1] then
        self.conf_version = self.conf_version + 1
    end
    self.need_reload = false
    applied.note(self)
end

local function close_holes(self)
    local values, hash = self.values, self.values_hash
    local kept = new_tab(#values, 0)
    for _, item in ipairs(values) do
        if item then
            kept[#kept + 1] = item
        end
    end
    clear(values)
    clear(hash)
    for i, item in ipairs(kept) do
        values[i] = item
        hash[short_key(self, item.key)] = i
    end
    self.sync_times = 0
end

local function replace(self, name, node)
    local values, hash = self.values, self.values_hash
    local at = hash[name]
    local prev = at and values[at]
    config_util.fire_all_clean_handlers(prev)
    if node.value ~= nil then
        at = at or #values + 1
        values[at], hash[name] = node, at
        identify(self, node, name)
    elseif at then
        values[at], hash[name] = false, nil
        self.sync_times = self.sync_times + 1
    end
end

-- Apply watched changes in their order: nodes as for full(), with a nil value for a deleted key. The filter is called
-- for each, deletions included, and conf_version rises for each; an invalid one is skipped.
function _M.events(self, nodes)
    for _, node in ipairs(nodes) do
        local name = short_key(self, node.key)
        local valid = name and (node.value == nil or is_valid(self, node))
        self:upgrade_version(node.modifiedIndex)
        if node.value == nil then
            judged(node.key, true)
        end
        if valid then
            replace(self, name, node)
            if self.sync_times > MAX_HOLES then
                close_holes(self)
            end
            notify(self, name, node.value, node.modifiedIndex)
            run_filter(self, node)
            self.conf_version = self.conf_version + 1
        end
    end
    applied.note(self)
end

return _M
