-- Owns what resty.http reads out of URIs: their parts, and which hosts are reached without a proxy.
-- Source: the documentation of lua-resty-http ("parse_uri", "set_proxy_options"). Must never open a connection.
local gmatch, gsub, find = string.gmatch, string.gsub, string.find
local match = ngx.re.match
local get_phase = ngx.get_phase
local ngx = ngx
local tonumber = tonumber

local PATTERN = [[^(?:(https?):)?//([^\[\]:/?]+|\[.+\])(?::(\d+))?([^?]*)\??(.*)]]

-- The phases in which no request, and so no scheme to inherit, is there.
local WITHOUT_REQUEST = { init = true, init_worker = true, timer = true, exit_worker = true }

local _M = {}

local function current_scheme()
    local scheme = not WITHOUT_REQUEST[get_phase()] and ngx.var.scheme
    return (scheme == "http" or scheme == "https") and scheme or nil
end

-- Returns {scheme, host, port, path, query}, or nil and an error text. With query_in_path (default true) the query
-- stays behind the path. "//host/…" has the scheme of the running request.
function _M.parse(uri, query_in_path)
    local parts, err = match(uri, PATTERN, "jo")
    if not parts then
        if err then
            return nil, "failed to match the uri: " .. uri .. ", " .. err
        end
        return nil, "bad uri: " .. uri
    end
    local scheme = parts[1] or current_scheme()
    if not scheme then
        return nil, "schemaless URIs require a request context: " .. uri
    end
    local port = parts[3] and tonumber(parts[3]) or scheme == "https" and 443 or 80
    local path, query = parts[4], parts[5]
    if not path or path == "" then
        path = "/"
    end
    if query_in_path ~= false and query and query ~= "" then
        path, query = path .. "?" .. query, nil
    end
    return { scheme, parts[2], port, path, query }
end

-- Whether host is one of no_proxy ("*", or names parted by commas, which stand for their subdomains too).
function _M.is_direct(no_proxy, host)
    if not no_proxy then
        return false
    elseif no_proxy == "*" then
        return true
    end
    local direct = {}
    for name in gmatch(no_proxy, "[^,]+") do
        direct[gsub(gsub(name, "^%s+", ""), "^%.", "")] = true
    end
    repeat
        if direct[host] then
            return true
        end
        host = gsub(host, "^[^.]+%.", "")
    until not find(host, ".", 1, true)
    return false
end

return _M
