-- Owns the table of contents of core.utils, whose parts stand in core/utils/, and what is too small for a
-- part: sleeping, the host name, resolving through the configured resolver. Mirrors apisix.core.utils.
local address = require "apisix.core.utils.address"
local config_local = require "apisix.core.config_local"
local dns_client = require "apisix.core.dns.client"
local escape = require "apisix.core.utils.escape"
local ipmatcher = require "resty.ipmatcher"
local log = require "apisix.core.log"
local ngx_re = require "ngx.re"
local random = require "apisix.core.utils.random"
local security = require "apisix.core.utils.security"
local table = require "apisix.core.table"
local template = require "apisix.core.utils.template"
local ffi = require "ffi"

local ngx = ngx
local C = ffi.C
local format = string.format
local tonumber = tonumber

pcall(ffi.cdef, [[
int gethostname(char *name, size_t len);
char *strerror(int errnum);
]])

local MAX_SLEEP = 1 -- second: a sleeper sees at least that often whether the worker is exiting
local HOSTNAME_SIZE = 256

local _M = {
    version = 0.2,
    parse_ipv4 = ipmatcher.parse_ipv4,
    parse_ipv6 = ipmatcher.parse_ipv6,
    parse_addr = address.parse_addr,
    uri_safe_encode = escape.uri_safe_encode,
    escape_uri_control_chars = escape.escape_uri_control_chars,
    validate_header_field = escape.validate_header_field,
    validate_header_value = escape.validate_header_value,
    resolve_var = template.resolve_var,
    resolve_var_with_captures = template.resolve_var_with_captures,
    check_https = security.check_https,
    check_tls_bool = security.check_tls_bool,
    get_seed_from_urandom = random.get_seed_from_urandom,
    generate_uuid_v7 = random.generate_uuid_v7,
}

-- "/a/b" -> {"", "a", "b"}
function _M.split_uri(uri)
    return ngx_re.split(uri, "/")
end

local resolvers, client, client_resolvers

-- resolvers: array of name server addresses, or nil for the system's.
function _M.set_resolver(servers)
    resolvers = servers
end

function _M.get_resolver()
    return resolvers
end

-- Resolves domain; yields. selector: dns_client.RETURN_ALL for an array of records, else one of them at
-- random. Returns {address, class, name, ttl, type}, or nil, err.
function _M.dns_parse(domain, selector)
    if not client or client_resolvers ~= resolvers then
        local conf = config_local.local_conf()
        local new_client, err = dns_client.new({
            nameservers = resolvers and table.clone(resolvers),
            validTtl = table.try_read_attr(conf, "apisix", "dns_resolver_valid"),
        })
        if not new_client then
            return nil, "failed to init the dns client: " .. err
        end
        client, client_resolvers = new_client, resolvers
    end
    return client:resolve(domain, selector)
end

local hostname

-- Returns the name of this machine, "unknown" if it has none.
function _M.gethostname()
    if not hostname then
        local buffer = ffi.new("char[?]", HOSTNAME_SIZE)
        if C.gethostname(buffer, HOSTNAME_SIZE - 1) == 0 then
            hostname = ffi.string(buffer)
        else
            hostname = "unknown"
            log.error("failed to call gethostname(): ", ffi.string(C.strerror(ffi.errno())))
        end
    end
    return hostname
end

-- Sleeps sec seconds without blocking the worker; a worker that exits cuts it short.
function _M.sleep(sec)
    while sec > MAX_SLEEP do
        ngx.sleep(MAX_SLEEP)
        if ngx.worker.exiting() then
            return
        end
        sec = sec - MAX_SLEEP
    end
    ngx.sleep(sec)
end

-- Leaves the state of a rate limit in ctx.var.rate_limiting_info, as JSON text.
function _M.set_var_rate_limiting_info(ctx, key, limit, remaining, reset)
    if not ctx then
        return
    end
    ctx.var.rate_limiting_info = format(
        '{"rate_limiting_key":"%s","rate_limiting_limit":%d,'
            .. '"rate_limiting_remaining":%d,"rate_limiting_reset":%d}',
        key or "", limit or 0, tonumber(remaining) or 0, reset or 0
    )
end

return _M
