-- Owns the sending of a batch as one POST, with APISIX's messages about what goes wrong. Part of apisix.utils.log-util.
local http = require "resty.http"
local url = require "net.url"

local _M = {}

-- Where to: {secure, host, port, path, query, name (in messages)}. uri: "http://host:port/path?query".
function _M.parse(uri)
    local parsed = url.parse(uri)
    local secure = parsed.scheme == "https"
    local port = parsed.port or secure and 443 or 80
    return {
        secure = secure,
        host = parsed.host,
        port = port,
        path = parsed.path and parsed.path ~= "" and parsed.path or "/",
        query = parsed.query,
        name = "host[" .. parsed.host .. "] port[" .. port .. "]",
    }
end

local function connect(client, target, ssl_verify)
    local ok, err = client:connect(target.host, target.port)
    if not ok then
        return nil, "failed to connect to " .. target.name .. " " .. err
    end
    if target.secure then
        ok, err = client:ssl_handshake(true, target.host, ssl_verify)
        if not ok then
            return nil, "failed to perform SSL with " .. target.name .. " " .. err
        end
    end
    return true
end

local function post(client, target, headers, body)
    headers["Host"] = target.host
    local response, err = client:request {
        method = "POST", path = target.path, query = target.query, body = body, headers = headers,
    }
    if not response then
        return false, "error while sending data to [" .. target.host .. "] port[" .. target.port .. "] " .. err
    end
    if response.status >= 400 then
        return false, "server returned status code[" .. response.status .. "] " .. target.name
            .. " body[" .. (response:read_body() or "") .. "]"
    end
    return true
end

-- target: of parse(). timeout: seconds. headers: beside Host, which is added. Returns true, or false and an error; a
-- status of 400 and above is one.
function _M.send(target, timeout, ssl_verify, headers, body)
    local client = http.new()
    client:set_timeout(timeout * 1000)
    local ok, err = connect(client, target, ssl_verify)
    if ok then
        ok, err = post(client, target, headers, body)
    end
    client:close()
    return ok or false, err
end

return _M
