-- Owns what a route asks of a request besides its path: method, client address, host, expression, function.
-- Must never look at the path.
local expr = require "resty.expr.v1"
local ipmatcher = require "resty.ipmatcher"

local error = error
local ipairs = ipairs
local next = next
local type = type
local byte = string.byte
local find = string.find
local lower = string.lower
local sub = string.sub
local ngx = ngx

local STAR = byte("*")

local _M = {}

local function read_methods(methods)
    if type(methods) == "string" then
        return { [methods] = true }
    end
    if methods == nil or #methods == 0 then
        return nil
    end
    local set = {}
    for _, name in ipairs(methods) do
        set[name] = true
    end
    return set
end

local function read_host(host)
    host = lower(host)
    local wildcard = byte(host) == STAR
    local text = wildcard and sub(host, 2) or host
    return { text = text, wildcard = wildcard, has_port = find(text, ":", 1, true) ~= nil }
end

local function read_hosts(hosts)
    if type(hosts) == "string" then
        return { read_host(hosts) }
    end
    if type(hosts) ~= "table" or #hosts == 0 then
        return nil
    end
    local list = {}
    for i, host in ipairs(hosts) do
        list[i] = read_host(host)
    end
    return list
end

local function read_vars(vars)
    if vars == nil then
        return nil
    end
    if type(vars) ~= "table" then
        error("invalid argument vars", 0)
    end
    local compiled, err = expr.new(vars)
    if not compiled then
        error("failed to handle expression: " .. err, 0)
    end
    return compiled
end

local function read_addresses(addresses)
    if addresses == nil then
        return nil
    end
    local matcher, err = ipmatcher.new(type(addresses) == "string" and { addresses } or addresses)
    if not matcher then
        error("invalid IP address: " .. err, 0)
    end
    return matcher
end

-- Compile the conditions of a route (fields methods, hosts, remote_addrs, vars, filter_fun); nil when it has
-- none. Raises on what is invalid: routes are checked before they come here.
function _M.compile(route)
    local conditions = {
        methods = read_methods(route.methods),
        hosts = read_hosts(route.hosts),
        addresses = read_addresses(route.remote_addrs),
        vars = read_vars(route.vars),
        filter = route.filter_fun,
    }
    return next(conditions) ~= nil and conditions or nil
end

local function matches(host, request_host)
    if not host.wildcard then
        return host.text == request_host
    end
    local size = #host.text
    return size == 0 or sub(request_host, -size) == host.text
end

-- Returns what matched as it is shown in opts.matched._host, or nil.
local function match_hosts(hosts, opts)
    local request_host = opts.host
    if not request_host then
        return nil
    end
    for i = 1, #hosts do
        local host = hosts[i]
        local subject = request_host
        if host.has_port and opts.vars and opts.vars.http_host then
            subject = opts.vars.http_host
        end
        if matches(host, subject) then
            return host.wildcard and "*" .. host.text or request_host
        end
    end
    return nil
end

local function eval_vars(vars, opts)
    local ok, err = vars:eval(opts.vars, opts)
    if ok == nil then
        ngx.log(ngx.ERR, "failed to eval expression: ", err)
    end
    return ok
end

-- Do the conditions hold for opts (method, host, remote_addr, vars)? The rest goes to the filter function.
-- Returns false, or true and the host as matched (nil when no host was asked for). May yield.
function _M.hold(conditions, opts, ...)
    local methods = conditions.methods
    if methods and not methods[opts.method or ""] then
        return false
    end
    local addresses = conditions.addresses
    if addresses and not addresses:match(opts.remote_addr) then
        return false
    end
    local host
    if conditions.hosts then
        host = match_hosts(conditions.hosts, opts)
        if not host then
            return false
        end
    end
    if conditions.vars and not eval_vars(conditions.vars, opts) then
        return false
    end
    local filter = conditions.filter
    if filter and not filter(opts.vars or ngx.var, opts, ...) then
        return false
    end
    return true, host
end

return _M
