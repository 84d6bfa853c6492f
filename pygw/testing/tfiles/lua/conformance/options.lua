-- Owns which directives are settings of the server, and their values: a directive is the setting of its name, with
-- or without `lua_`. Also those that have no meaning here.
local code = require "conformance.code"
local settings = require "server.settings"
local values = require "conformance.values"

local concat = table.concat
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local ipairs, pairs, tonumber = ipairs, pairs, tonumber

local _M = {}

local time, size, flag = values.time, values.size, values.flag

local function text(value)
    return value
end

local function joined(...)
    return concat({ ... }, " ")
end

-- Names of TLS versions, in whatever case.
local function protocols(...)
    return (gsub(joined(...), "[Tt][Ll][Ss][Vv]", "TLSv"))
end

-- Paths of certificates and the like are relative to the directory of nginx.conf.
local function path(value)
    return sub(value, 1, 1) == "/" and value or code.prefix .. "conf/" .. value
end

local function resolver(...)
    local servers = {}
    for _, word in ipairs({ ... }) do
        if not find(word, "=", 1, true) then
            servers[#servers + 1] = word
        end
    end
    return concat(servers, " ")
end

local CONVERT = {
    client_header_timeout = time, client_body_timeout = time, client_max_body_size = size,
    client_body_buffer_size = size, client_body_temp_path = text, client_body_in_file_only = text,
    client_body_in_single_buffer = flag, client_header_buffer_size = size,
    send_timeout = time, keepalive_timeout = time, keepalive_requests = tonumber,
    lingering_timeout = time, lingering_time = time, lingering_close = text, limit_rate = size,
    log_subrequest = flag, postpone_output = size, underscores_in_headers = flag, etag = flag,
    if_modified_since = text, resolver = resolver, resolver_timeout = time,
    proxy_connect_timeout = time, proxy_send_timeout = time, proxy_read_timeout = time,
    tcp_nodelay = flag,
    lua_check_client_abort = flag, lua_socket_log_errors = flag,
    lua_socket_buffer_size = size, lua_socket_read_timeout = time, lua_socket_send_timeout = time,
    lua_socket_connect_timeout = time, lua_socket_keepalive_timeout = time, lua_socket_pool_size = tonumber,
    lua_regex_match_limit = tonumber, lua_regex_cache_max_entries = tonumber, lua_http10_buffering = flag,
    lua_max_running_timers = tonumber, lua_max_pending_timers = tonumber, lua_use_default_type = flag,
    lua_transform_underscores_in_response_headers = flag, lua_capture_error_log = size,
    lua_worker_thread_vm_pool_size = tonumber, lua_thread_cache_max_entries = tonumber,
    lua_ssl_verify_depth = tonumber, lua_ssl_trusted_certificate = path, lua_ssl_protocols = protocols,
    lua_ssl_ciphers = text, lua_ssl_crl = path, lua_ssl_key_log = path,
    lua_ssl_certificate = path,
    lua_ssl_certificate_key = path, lua_upstream_skip_openssl_default_verify = flag,
    ssl_certificate = path, ssl_certificate_key = path, ssl_protocols = protocols, ssl_ciphers = text,
    ssl_session_tickets = flag, ssl_session_timeout = time, ssl_session_cache = joined,
    ssl_client_certificate = path, ssl_verify_client = text, ssl_verify_depth = tonumber,
    ssl_trusted_certificate = path, ssl_prefer_server_ciphers = flag, ssl_early_data = flag,
    ssl_session_ticket_key = text, ssl_stapling = flag,
    ssl_password_file = path, ssl_crl = path, ssl_reject_handshake = flag,
}

-- Directives that change nothing that a block can see here.
local MEANINGLESS = {
    "access_log", "log_format", "error_log", "sendfile", "tcp_nopush", "lua_malloc_trim", "lua_sa_restart",
    "lua_load_resty_core", "proxy_temp_path", "proxy_buffers", "proxy_busy_buffers_size", "proxy_buffer_size",
    "gzip_types", "gzip_min_length", "gzip_buffers", "types_hash_max_size", "server_names_hash_bucket_size",
    "client_header_timeout", "worker_processes", "daemon", "master_process", "pid", "env", "events",
    "worker_connections", "use", "worker_shutdown_timeout", "worker_cpu_affinity", "lua_package_path",
    "lua_package_cpath", "lua_shared_dict", "thread_pool", "server_tokens", "fastcgi_temp_path", "scgi_temp_path",
    "uwsgi_temp_path", "large_client_header_buffers", "charset_types", "worker_rlimit_nofile",
    "variables_hash_max_size",
    "log_not_found", "log_by_lua_no_postpone", "lua_intercept_error_log",
}

_M.meaningless = {}
for _, name in ipairs(MEANINGLESS) do
    _M.meaningless[name] = true
end

local function setting_of(name)
    if settings[name] ~= nil then
        return name
    end
    local plain = match(name, "^lua_(.*)$")
    return plain and settings[plain] ~= nil and plain or nil
end

local COMMANDS = { lua_ssl_conf_command = true, ssl_conf_command = true }
local SEVERAL = { ssl_certificate = true, ssl_certificate_key = true }

local function all_of(list, convert)
    local found = {}
    for i, directive in ipairs(list) do
        found[i] = convert(directive.args[1])
    end
    return #found == 1 and found[1] or found
end

local function commands_of(list)
    local found = {}
    for i, directive in ipairs(list) do
        found[i] = { directive.args[1], directive.args[2] }
    end
    return found
end

-- thread_pool NAME threads=N max_queue=N
local function thread_pools(list)
    local pools = {}
    for _, directive in ipairs(list) do
        local pool = {}
        for i = 2, #directive.args do
            local key, value = match(directive.args[i], "^([%w_]+)=(%d+)$")
            pool[key] = tonumber(value)
        end
        pools[directive.args[1]] = pool
    end
    return pools
end

-- Is this directive one of ours?
function _M.known(name)
    return CONVERT[name] ~= nil or _M.meaningless[name] or COMMANDS[name] == true
end

-- The settings that a conf's own directives make; those that the server does not have are left out.
function _M.of(directives)
    local found = {}
    for name, list in pairs(directives) do
        local convert, key = CONVERT[name], setting_of(name)
        if convert and key then
            found[key] = SEVERAL[name] and all_of(list, convert) or convert(unpack(list[#list].args))
        end
    end
    for name in pairs(COMMANDS) do
        found[name] = directives[name] and commands_of(directives[name])
    end
    if directives.thread_pool then
        found.thread_pool = thread_pools(directives.thread_pool)
    end
    return found
end

return _M
