-- Owns configuration from a file, apisix.yaml or apisix.json (standalone mode): objects like those of
-- config_etcd, all brought up to date at once when the file has changed. Reading and watching the file is
-- Python's affair, which hands over good versions only. Mirrors apisix.core.config_yaml.
local bridge = require "server.bridge"
local config_local = require "apisix.core.config_local"
local items = require "apisix.core.config_yaml.items"
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local report_status = require("apisix.core.config_etcd.status").write

local concat = table.concat
local error = error
local exiting = ngx.worker.exiting
local ipairs = ipairs
local ngx_timer_at = ngx.timer.at
local setmetatable = setmetatable
local sleep = require("apisix.core.utils").sleep
local str_sub = string.sub
local tostring = tostring
local traceback = debug.traceback
local xpcall = xpcall

local WAIT = 60 -- seconds of one wait for the file
local RETRY = 1

local _M = {
    version = 0.2,
    file_type = "yaml",
    local_conf = config_local.local_conf,
    clear_local_cache = config_local.clear_cache,
}

local mt = {
    __index = _M,
    __tostring = function(self)
        return "apisix.yaml key: " .. (self.key or "")
    end,
}

local document, document_version -- the file's content, and its version
local path = "apisix.yaml"
local objects = {} -- in the order in which they were made
local created_obj = {}

local function sync(self)
    if not document or not self.running or self.synced == document_version then
        return
    end
    self.synced = document_version
    local ok, err = xpcall(items.apply, traceback, self, document[self.key], document_version)
    if not ok then
        log.error("failed to take over ", self.key, " from apisix.", _M.file_type, ": ", err)
    end
end

-- Make `tab` (key -> list, or the value of a single item) the configuration, under that version.
function _M._update_config(tab, conf_version)
    if not tab then
        log.error("failed update config: empty table")
        return
    end
    document, document_version = tab, conf_version
    for _, object in ipairs(objects) do
        sync(object)
    end
    report_status(true)
end

-- What is wrong with the file while the worker starts; afterwards a fault is a line in the log.
local start_faults = {}

items.on_fault = function(key, reason)
    start_faults[#start_faults + 1] = path .. ": " .. str_sub(key, 2) .. ": " .. reason
end

-- The worker has made all its objects: raises if any item was invalid, since a gateway is not to start
-- with a part of what its file says.
function _M.started()
    items.on_fault = nil
    if start_faults[1] then
        error(concat(start_faults, "\n"), 0)
    end
end

local function read()
    local text, version
    text, version, path = bridge.call.standalone_config()
    local tab, err = json.decode(text)
    if not tab then
        return nil, err
    end
    _M._update_config(tab, version)
    return true
end

local function follow(premature)
    if premature then
        return
    end
    local changed, err = bridge.await.standalone_wait(document_version, WAIT)
    if err then
        log.error("failed to wait for apisix.", _M.file_type, ": ", err)
        sleep(RETRY)
    elseif changed then
        read()
    end
    if not exiting() then
        ngx_timer_at(0, follow)
    end
end

-- key: "/routes", …: the list of that name in the file. opts as config_etcd.new's; timeout is not used.
-- Returns the object, or nil, err.
function _M.new(key, opts)
    opts = opts or {}
    if opts.automatic and not key then
        return nil, "missing `key` argument"
    end
    local name = key and str_sub(key, 2)
    local obj = setmetatable({
        key = name,
        conf_version_key = name and name .. "_conf_version",
        automatic = opts.automatic,
        item_schema = opts.item_schema,
        checker = opts.checker,
        filter = opts.filter,
        single_item = opts.single_item,
        running = true,
        sync_times = 0,
        conf_version = 0,
    }, mt)
    if name then
        created_obj[name] = obj
    end
    if opts.automatic then
        objects[#objects + 1] = obj
        sync(obj)
    end
    return obj
end

-- The item of that id (string or number), or nil.
function _M.get(self, id)
    local at = self.values_hash and self.values_hash[tostring(id)]
    return at and self.values[at] or nil
end

-- The items as the file has them, before any default was filled in: an array of {key, value, modifiedIndex}.
function _M.read_stored(self)
    return items.read_stored(self)
end

-- Take over these of read_stored()'s items anew, through checks and filter, unless they have changed meanwhile.
function _M.take_again(self, nodes)
    return items.take_again(self, nodes)
end

-- Leave the object as it is from now on.
function _M.close(self)
    self.running = false
end

function _M.server_version()
    return "apisix.yaml " .. _M.version
end

-- The object that was made for key, or nil.
function _M.fetch_created_obj(key)
    return created_obj[str_sub(key, 2)]
end

-- Read the file. Returns true, or nil, err.
function _M.init()
    return read()
end

-- Follow the file from now on. Returns true.
function _M.init_worker()
    report_status(false)
    ngx_timer_at(0, follow)
    if document then
        report_status(true)
    end
    return true
end

return _M
