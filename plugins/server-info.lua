-- Owns the report of what this gateway is, in the store under /data_plane/server_info/ID, where it outlives the gateway
-- for a while. Configuration, report and messages are those of APISIX 3.18's plugin of this name. Must never run for a
-- request.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local timers = require "apisix.timers"

local ngx = ngx
local floor = math.floor
local time = ngx.time
local type = type

local NAME = "server-info"
local TIMER = "plugin#server-info"
local DIRECTORY = "/data_plane/server_info/"
local UNKNOWN = "unknown"

-- What all workers know: when the first of them started, the lease of what is written, the store's version.
local BOOT_TIME, LEASE, STORE_VERSION = "server_info:boot_time", "lease_id", "server_info:etcd_version"

local schema = { type = "object" }

local attr_schema = {
    type = "object",
    properties = {
        report_ttl = { type = "integer", minimum = 3, maximum = 86400, default = 60 }, -- seconds
    },
}

local dict = ngx.shared["internal-status"]
if not dict then
    error('lua_shared_dict "internal-status" not configured')
end

local _M = { version = 0.1, priority = 990, name = NAME, schema = schema, scope = "global" }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

local function describe()
    return {
        boot_time = dict:get(BOOT_TIME),
        etcd_version = dict:get(STORE_VERSION) or UNKNOWN,
        hostname = core.utils.gethostname(),
        id = core.id.get(),
        version = core.version.VERSION,
    }
end

-- Returns true, or nil and why the store did not say.
local function learn_store_version()
    local res, err = core.etcd.server_version()
    if not res then
        return nil, err
    elseif type(res.body) ~= "table" then
        return nil, "bad version info"
    end
    local body = res.body
    dict:set(STORE_VERSION, body.etcdcluster ~= "" and body.etcdcluster or body.etcdserver)
    return true
end

local function write(key, info, ttl)
    local res, err = core.etcd.set(key, info, ttl)
    if not res then
        core.log.error("failed to set server_info to etcd: ", err)
        return
    end
    dict:set(LEASE, res.body.lease_id)
end

-- What stands there already is kept alive; it is written anew if that is too late.
local function renew(key, info, ttl)
    local lease = dict:get(LEASE)
    if lease then
        local res, err = core.etcd.keepalive(lease)
        if res then
            return
        end
        core.log.error("send heartbeat failed: ", err)
    end
    write(key, info, ttl)
end

local function report(ttl)
    local ok, err
    if not dict:get(STORE_VERSION) then
        ok, err = learn_store_version()
        if not ok then
            core.log.error("failed to fetch etcd version: ", err)
            return
        end
    end
    local info = describe()
    local key = DIRECTORY .. info.id
    local res
    res, err = core.etcd.get(key)
    if not res or (res.status ~= 200 and res.status ~= 404) then
        core.log.error("failed to get server_info from etcd: ", err)
        return
    end
    local node = res.body.node
    if node and core.table.deep_eq(info, node.value) then
        return renew(key, info, ttl)
    end
    write(key, info, ttl)
end

-- A file cannot be written to, and a data plane is not to write.
local function may_write()
    if core.config ~= require("apisix.core.config_etcd") then
        return false
    end
    return core.table.try_read_attr(core.config.local_conf(), "deployment", "role") ~= "data_plane"
end

-- Now, and whenever half of the time is over. In one worker only.
local function report_regularly(ttl)
    local reported = time()
    local ok, err = ngx.timer.at(0, function(premature)
        if not premature then
            report(ttl)
        end
    end)
    if not ok then
        core.log.error("failed to create initial timer to report server info: ", err)
    end
    timers.register_timer(TIMER, function()
        if time() - reported >= floor(ttl / 2) then
            reported = time()
            report(ttl)
        end
    end)
end

function _M.init()
    dict:add(BOOT_TIME, time())
    if ngx.worker.id() ~= 0 or not may_write() then
        return
    end
    local attr = plugin.plugin_attr(NAME) or {}
    local ok, err = core.schema.check(attr_schema, attr)
    if not ok then
        core.log.error("failed to check plugin_attr: ", err)
        return
    end
    report_regularly(attr.report_ttl)
end

function _M.destroy()
    timers.unregister_timer(TIMER)
end

function _M.control_api()
    return {
        {
            methods = { "GET" },
            uris = { "/v1/server_info" },
            handler = function() return 200, describe() end,
        },
    }
end

return _M
