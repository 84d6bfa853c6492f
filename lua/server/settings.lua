-- Owns the server's settings, under their nginx names. Times in seconds, sizes in bytes (0: no limit).
-- The worker overwrites the defaults with those of config.yaml before the first connection.
return {
    client_header_timeout = 60,
    client_body_timeout = 60,
    client_header_size = 32768, -- all of a request's head (large_client_header_buffers 4 8k)
    client_max_body_size = 0,
    client_body_buffer_size = 16384, -- what is larger lies in a file once it is read
    client_body_temp_path = nil, -- a directory, also relative to the prefix; nil: the system's for such files
    client_body_in_file_only = "off", -- "on" and "clean": every body that is read lies in a file
    send_timeout = 10,
    keepalive_timeout = 60,
    keepalive_requests = 1000,
    lingering_timeout = 5, -- between two pieces of a body that nobody wants
    lingering_time = 30, -- for all of it
    proxy_connect_timeout = 60,
    proxy_send_timeout = 60,
    proxy_read_timeout = 60,
    proxy_header_size = 32768, -- all of a response's head
    upstream_keepalive = 320, -- idle connections kept to all upstreams of a worker
    upstream_keepalive_timeout = 60,
    upstream_keepalive_requests = 1000,
    socket_connect_timeout = 60,
    socket_send_timeout = 60,
    socket_read_timeout = 60,
    socket_keepalive_timeout = 60,
    socket_pool_size = 30,
    socket_log_errors = true,
    resolver = "system", -- or "" for none, or nameservers as nginx's directive lists them
    resolver_timeout = 30,
    lua_ssl_protocols = "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", -- of cosockets, as all lua_ssl_…
    lua_ssl_ciphers = "DEFAULT",
    lua_ssl_verify_depth = 1,
    lua_ssl_trusted_certificate = false, -- paths of PEM files
    lua_ssl_crl = false,
    lua_ssl_certificate = false,
    lua_ssl_certificate_key = false,
    lua_ssl_key_log = false,
    lua_ssl_conf_command = false, -- {{name, value}, …} for SSL_CONF_cmd
    server_tokens = "pygw",
    regex_cache = 1024,
    max_pending_timers = false, -- false: as config.yaml says
    max_running_timers = false,
    thread_pool = {}, -- name = {threads = 32, max_queue = 65536}: of ngx.run_worker_thread
    worker_thread_vm_pool_size = 10,
}
