-- Owns names that several parts of floor 3 share: the directories of the store, and the calls of the
-- external-plugin protocol; and where the gateway is at home. Mirrors apisix.constants.
local gsub = string.gsub
local ipairs = ipairs
local ngx = ngx

local function set_of(...)
    local set = {}
    for _, name in ipairs({ ... }) do
        set[name] = true
    end
    return set
end

local home = gsub(ngx.config.prefix(), "/$", "")

return {
    apisix_lua_home = home,
    RPC_ERROR = 0,
    RPC_PREPARE_CONF = 1,
    RPC_HTTP_REQ_CALL = 2,
    RPC_EXTRA_INFO = 3,
    RPC_HTTP_RESP_CALL = 4,
    HTTP_ETCD_DIRECTORY = set_of(
        "/consumer_groups", "/consumers", "/global_rules", "/plugin_configs", "/plugin_metadata",
        "/plugins", "/protos", "/routes", "/secrets", "/services", "/ssls", "/stream_routes",
        "/upstreams"
    ),
    STREAM_ETCD_DIRECTORY = set_of(
        "/plugin_metadata", "/plugins", "/secrets", "/services", "/ssls", "/stream_routes", "/upstreams"
    ),
}
