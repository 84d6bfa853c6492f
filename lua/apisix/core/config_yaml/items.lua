-- Owns the applying of one list of apisix.yaml to its object: values, values_hash, conf_version. Must never yield.
--
-- An item that says the same as before stays the object that it is, with its modifiedIndex, so that what
-- plugins keep for it (counters, connections) survives an edit elsewhere in the file; a list that says the same
-- keeps its conf_version. An invalid item is left out, with a line in the log.
local config_util = require "apisix.core.config_util"
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local notify = require "apisix.core.config_etcd.notify"
local printable = require "apisix.core.config_util.printable"
local check_schema = require("apisix.core.schema").check

local ipairs = ipairs
local pairs = pairs
local sub = string.sub
local tostring = tostring
local traceback = debug.traceback
local type = type
local xpcall = xpcall

local _M = { on_fault = nil } -- on_fault(key, reason): hears of items that are left out

-- What a worker asks of an item ({key, value}) of an object. Returns true, or false and the fault.
function _M.check(self, item)
    if not self.single_item and type(item.value) ~= "table" then
        return false, "it should be an object"
    end
    if self.item_schema then
        local ok, err = check_schema(self.item_schema, item.value)
        if not ok then
            return false, err
        end
    end
    if self.checker then
        return self.checker(item.value, item.key)
    end
    return true
end

local function is_valid(self, item)
    local ran, ok, err = xpcall(_M.check, traceback, self, item)
    if ran and ok then
        return true
    end
    local fault = ran and err or ok
    log.error("failed to check item data of [", item.key, "] err: ", fault,
              ", val: ", printable(item.key, item.value))
    if _M.on_fault then
        _M.on_fault(item.key, fault)
    end
    return false
end

-- The items that the file lists, not checked yet: an array of {id, item, text}.
local function listed(self, content, version)
    if content == nil then
        return {}
    end
    if self.single_item then
        local item = { value = content, modifiedIndex = version, key = "/" .. self.key }
        return { { id = self.key, item = item, text = json.stably_encode(content) } }
    end
    if type(content) ~= "table" then
        log.error("invalid data of [", self.key, "], it should be a list")
        return {}
    end
    local found = {}
    for i, value in ipairs(content) do
        local given = type(value) == "table" and value or {}
        local id = tostring(given.id or given.username or "arr_" .. i)
        local item = { value = value, key = "/" .. self.key .. "/" .. id }
        local text = json.stably_encode(value)
        if type(given.modifiedIndex) == "number" then -- about the item, so not for its schema
            item.modifiedIndex, given.modifiedIndex = given.modifiedIndex, nil
        else
            item.modifiedIndex = version
        end
        found[#found + 1] = { id = id, item = item, text = text }
    end
    return found
end

local function keep_or_take(self, entry, fresh)
    local prev = self.values_hash and self.values[self.values_hash[entry.id]]
    if prev and self.texts[entry.id] == entry.text then
        return prev
    end
    if not is_valid(self, entry.item) then
        return nil
    end
    if not self.single_item then
        entry.item.value.id = entry.id
    end
    fresh[#fresh + 1] = entry
    return entry.item
end

local function is_same(values, before)
    if not before or #values ~= #before then
        return false
    end
    for i, item in ipairs(values) do
        if item ~= before[i] then
            return false
        end
    end
    return true
end

local function dispose(self, before, before_hash)
    for id, i in pairs(before_hash) do
        local at = self.values_hash[id]
        if not at or self.values[at] ~= before[i] then
            config_util.fire_all_clean_handlers(before[i])
        end
        if not at then
            notify(self, id, nil, 0)
        end
    end
end

local function run_filter(self, item)
    if not self.filter then
        return
    end
    local ok, err = xpcall(self.filter, traceback, item)
    if not ok then
        log.error("failed to take over item [", item.key, "]: ", err)
    end
end

-- Make `content` (the object's part of the file, or nil) its items, under conf_version `version`.
function _M.apply(self, content, version)
    local values, hash, texts, fresh = {}, {}, {}, {}
    for _, entry in ipairs(listed(self, content, version)) do
        local item = keep_or_take(self, entry, fresh)
        if item then
            local at = hash[entry.id] or #values + 1 -- of two with the same id the later one counts
            values[at], hash[entry.id], texts[entry.id] = item, at, entry.text
        end
    end
    if is_same(values, self.values) then
        return
    end
    local before, before_hash = self.values or {}, self.values_hash or {}
    self.values, self.values_hash, self.texts = values, hash, texts
    self.conf_version = version
    dispose(self, before, before_hash)
    for _, entry in ipairs(fresh) do
        if values[hash[entry.id]] == entry.item then
            notify(self, entry.id, entry.item.value, 0)
            run_filter(self, entry.item)
        end
    end
end

-- See config_yaml.read_stored.
function _M.read_stored(self)
    local nodes = {}
    for id, at in pairs(self.values_hash) do
        local item = self.values[at]
        nodes[#nodes + 1] = {
            key = item.key, value = json.decode(self.texts[id]), modifiedIndex = item.modifiedIndex,
        }
    end
    return nodes
end

-- See config_yaml.take_again.
function _M.take_again(self, nodes)
    local start = #self.key + 3
    for _, node in ipairs(nodes) do
        local id = sub(node.key, start)
        local at = self.values_hash[id]
        local item = at and self.values[at]
        if item and item.modifiedIndex == node.modifiedIndex and is_valid(self, node) then
            node.value.id = id
            self.values[at] = node
            self.conf_version = self.conf_version + 1
            config_util.fire_all_clean_handlers(item)
            run_filter(self, node)
        end
    end
end

return _M
