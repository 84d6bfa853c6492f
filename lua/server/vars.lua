-- Owns nginx's variables: for each name a function of a request, found once and kept. The application
-- declares variables of its own (`variables`), settable as those of nginx's `set` are.
-- Values are strings; nil where nginx would say "not found".
local new_tab = require "table.new"
local clock = require "server.clock"
local phases = require "server.phases"
local sysinfo = require "server.sysinfo"

local format, sub, find = string.format, string.sub, string.find
local gsub, match, lower = string.gsub, string.match, string.lower
local floor = math.floor
local os_date = os.date
local tostring = tostring

local _M = {}

local getters = {}
local setters = {}

local function seconds(value)
    return value and format("%.3f", value) or nil
end

-- request line and target
function getters.request_method(r) return r.method end
function getters.request_uri(r) return r.request_uri end
function getters.uri(r) return r.uri end
getters.document_uri = getters.uri
function getters.args(r) return r.args end
getters.query_string = getters.args
function getters.is_args(r) return r.args and r.args ~= "" and "?" or "" end
function getters.request(r) return r.method .. " " .. r.request_uri .. " HTTP/1." .. r.http_minor end
function getters.server_protocol(r) return r.http_minor == 1 and "HTTP/1.1" or "HTTP/1.0" end
function getters.host(r) return r.host or r.server_name or "" end
function getters.scheme() return "http" end
function getters.https() return "" end
function getters.content_length(r) return r.headers:get("content-length") end
function getters.content_type(r) return r.headers:get("content-type") end
function getters.request_length(r) return tostring((r.head_size or 0) + (r.body and r.body.received or 0)) end
function getters.request_body(r) return r.body_data ~= "" and r.body_data or nil end
function getters.request_body_file(r) return r.body_file and r.body_file.path end

-- connection
function getters.remote_addr(r) return r.remote_addr end
function getters.remote_port(r) return tostring(r.remote_port) end
getters.realip_remote_addr = getters.remote_addr
getters.realip_remote_port = getters.remote_port
function getters.connection(r) return tostring(r.connection) end
function getters.connection_requests(r) return tostring(r.conn.requests) end
function getters.server_addr(r) return (sysinfo.local_address(r)) end
function getters.server_port(r) return tostring(select(2, sysinfo.local_address(r))) end
function getters.server_name(r) return r.server_name or "" end
function getters.binary_remote_addr(r) return sysinfo.binary_address(r.remote_addr) end
function getters.hostname() return sysinfo.hostname() end
function getters.pid() return tostring(sysinfo.getpid()) end
function getters.nginx_version() return "1.27.1" end
function getters.pipe() return "." end
function getters.remote_user(r)
    local authorization = r.headers:get("authorization")
    local encoded = authorization and match(authorization, "^[Bb]asic +(.+)$")
    local decoded = encoded and ngx.decode_base64(encoded)
    return decoded and match(decoded, "^([^:]*):") or nil
end

-- response
function getters.status(r) return format("%03d", r.status) end
function getters.bytes_sent(r) return tostring(r.bytes_sent) end
function getters.body_bytes_sent(r) return tostring(r.body_bytes_sent) end
function getters.request_completion(r) return r.ended and "OK" or "" end

-- time
function getters.msec() return seconds(clock.now()) end
function getters.request_time(r) return seconds(clock.now() - r.start_time) end
function getters.time_local() return os_date("%d/%b/%Y:%H:%M:%S %z", floor(clock.now())) end
function getters.time_iso8601()
    local text = os_date("%Y-%m-%dT%H:%M:%S%z", floor(clock.now()))
    return sub(text, 1, -3) .. ":" .. sub(text, -2)
end

-- upstream
function getters.upstream_addr(r) return r.upstream_addr end
function getters.upstream_status(r) return r.upstream_status and tostring(r.upstream_status) end
function getters.upstream_connect_time(r) return seconds(r.upstream_connect_time) end
function getters.upstream_header_time(r) return seconds(r.upstream_header_time) end
function getters.upstream_response_time(r) return seconds(r.upstream_response_time) end
function getters.proxy_host(r) return r.peer and r.peer.name end
function getters.proxy_port(r) return r.peer and tostring(r.peer.port) end
function getters.proxy_add_x_forwarded_for(r)
    local forwarded = r.headers:joined("x-forwarded-for")
    return forwarded and (forwarded .. ", " .. r.remote_addr) or r.remote_addr
end

function getters.request_id(r)
    local id = r.request_id
    if not id then
        id = sysinfo.random_hex(16)
        r.request_id = id
    end
    return id
end

function setters.args(r, value)
    r.args = value
    r.uri_changed = true
end

local function dashed(name)
    return (gsub(name, "_", "-"))
end

local function argument(r, name)
    local args = r.args
    if not args then
        return nil
    end
    local pos = 1
    while true do
        local start, stop, key, value = find(args, "([^=&]*)=?([^&]*)", pos)
        if not start or stop < start and pos > #args then
            return nil
        end
        if lower(key) == name then
            return value
        end
        pos = stop + 2
        if pos > #args then
            return nil
        end
    end
end

local function cookie(r, name)
    local all = r.headers:joined("cookie", "; ")
    if not all then
        return nil
    end
    for key, value in all:gmatch("([^=;%s]+)%s*=%s*([^;]*)") do
        if lower(key) == name then
            return match(value, "^(.-)%s*$")
        end
    end
end

-- prefix -> function(rest of the name) -> function(r)
local PREFIXES = {
    { "arg_", function(rest)
        local name = lower(rest)
        return function(r) return argument(r, name) end
    end },
    { "http_", function(rest)
        local key = lower(dashed(rest))
        return function(r) return r.headers:joined(key, key == "cookie" and "; " or ", ") end
    end },
    { "cookie_", function(rest)
        local name = lower(rest)
        return function(r) return cookie(r, name) end
    end },
    { "sent_http_", function(rest)
        local key = lower(dashed(rest))
        return function(r) return r.resp:joined(key) end
    end },
    { "upstream_http_", function(rest)
        local key = lower(dashed(rest))
        return function(r) return r.upstream_headers and r.upstream_headers:joined(key) end
    end },
    { "upstream_cookie_", function(rest)
        return function(r)
            for _, value in ipairs(r.upstream_headers and r.upstream_headers:get_all("set-cookie") or {}) do
                local key, content = match(value, "^%s*([^=;%s]+)%s*=%s*([^;]*)")
                if key == rest then
                    return content
                end
            end
        end
    end },
}

local cache = setmetatable({}, { __index = getters })
local cached = 0

local function not_found()
    return nil
end

local function build(name)
    local variables = phases.app.variables
    local default = variables and variables[name]
    if default then
        return function(r)
            local values = r.vars
            local value = values and values[name]
            if value == nil then
                return default
            end
            return value
        end
    end
    for _, prefix in ipairs(PREFIXES) do
        local length = #prefix[1]
        if #name > length and sub(name, 1, length) == prefix[1] then
            return prefix[2](sub(name, length + 1))
        end
    end
    return not_found
end

-- The function(r) -> string | nil for a variable. Names may come from outside, so what is kept is bounded.
function _M.getter(name)
    local found = cache[name]
    if not found then
        found = build(name)
        if cached < 4096 then
            cached = cached + 1
            cache[name] = found
        end
    end
    return found
end

-- Is it one of the server's own?
function _M.built_in(name)
    return getters[name] ~= nil
end

-- Set a variable. Returns true, or nil when that name cannot be written.
function _M.set(r, name, value)
    if value ~= nil then
        value = tostring(value)
    end
    local setter = setters[name]
    if setter then
        setter(r, value)
        return true
    end
    local variables = phases.app.variables
    if not variables or variables[name] == nil then
        return nil
    end
    local values = r.vars
    if not values then
        values = new_tab(0, 8)
        r.vars = values
    end
    values[name] = value == nil and "" or value
    return true
end

return _M
